//! The index of the lists.
//!
//! An LTM and the index are in different slots of a Redis Cluster, so no step writes both. An LTM is marked together
//! with a write that changes what the index should hold of it. After the write, the index is brought up to date from
//! the LTM itself, and the mark is removed. A list reads the marked LTMs too. So it is right at any time, and a process
//! that dies in between leaves only a mark, which a check finds (see [`super::check`]).
//!
//! Only `index.lua` changes the index, and one LTM in one step. It does not put an earlier entry over a later one, so
//! any number of processes may bring the same LTM up to date.

use std::{future::Future, pin::pin};

use futures_util::future::{Either, select};
use jiff::Timestamp;
use ltm_types::{Cursor, Kind, LtmId, keys};
use redis::{Cmd, Value, from_redis_value_ref as from_value};

use crate::{
    error::StoreError,
    list::{terms, told::Mark},
    log::{
        list::{Found, ListedLtm},
        read::{Read, Store, WindowBounds},
    },
    redis::script,
};

/// The most combinations of class and status that are counted one by one.
pub(crate) const MAX_COUNTED: usize = 10_000;
/// The ids in one block.
pub(crate) const BLOCK: u64 = 128;
impl Store {
    /// Does a write that changes what the index should hold of an LTM, and brings the index up to date afterwards, in
    /// the background. The write neither waits for the index nor fails with it.
    pub(crate) async fn indexed<T>(&self, id: LtmId, write: impl Future<Output = T>) -> T {
        let mark = Mark::now();
        self.told.tell(id, Timestamp::now());
        let done = self.beside(mark.set(id), write).await;
        self.index_later(id, mark);
        done
    }

    /// Does a write that changes nothing in the index but the time of the last update. The index is told once a minute.
    pub(crate) async fn updating<T>(&self, id: LtmId, write: impl Future<Output = T>) -> T {
        let now = Timestamp::now();
        if !self.told.tell(id, now) {
            return write.await;
        }
        let mut tell = redis::cmd("ZADD");
        tell.arg(keys::LIST_UPDATED).arg("XX").arg("GT");
        tell.arg(now.as_millisecond()).arg(keys::index_member(id));
        self.beside(tell, write).await
    }

    /// Sends a command, and does a write without waiting for the command.
    async fn beside<T>(&self, command: Cmd, write: impl Future<Output = T>) -> T {
        // On one connection, Redis gets the command first.
        let sent = pin!(self.redis.query::<Value>(&command));
        match select(sent, pin!(write)).await {
            Either::Left((Err(error), write)) => {
                tracing::debug!(%error, "the index of the lists was not told of a write; its check finds that");
                write.await
            }
            Either::Left((Ok(_), write)) => write.await,
            Either::Right((done, _)) => done,
        }
    }

    /// Brings a marked LTM up to date in the index, in the background.
    pub(crate) fn index_later(&self, id: LtmId, mark: Mark) {
        let Some(permit) = self.told.permit() else {
            return;
        };
        let store = self.clone();
        self.redis.spawner().spawn("list index", async move {
            if let Err(error) = store.index_all(&[(id, Some(mark))]).await {
                tracing::debug!(%id, %error, "the index of the lists is not up to date; its check finds that");
            }
            drop(permit);
        });
    }

    /// Brings LTMs up to date in the index, and removes their marks. An LTM that does not exist leaves the index.
    /// Returns whether every LTM could be read: in a cluster, a server may be down.
    pub(crate) async fn index_all(
        &self,
        ltms: &[(LtmId, Option<Mark>)],
    ) -> Result<bool, StoreError> {
        if ltms.is_empty() {
            return Ok(true);
        }
        let ids: Vec<LtmId> = ltms.iter().map(|(id, _)| *id).collect();
        // Before the LTMs: a record that is later than its LTM then shows that a failover has lost entries.
        let records = self.records(&ids).await?;
        let found = self.listed(&ids).await?;
        let (mut calls, mut current, mut is_whole) = (Vec::new(), Vec::new(), true);
        for (((id, mark), record), found) in ltms.iter().zip(records).zip(found) {
            let ltm = match found {
                Found::Ltm(ltm) => Some(self.with_errors(*ltm).await?),
                Found::Missing => None,
                Found::Unreadable => continue,
                Found::Unavailable => {
                    is_whole = false;
                    continue;
                }
            };
            match ltm {
                Some(ltm) if mark.is_none() && is_current(record.as_deref(), &ltm) => {
                    current.push(ltm);
                }
                ltm => calls.push(index_call(*id, *mark, record.as_deref(), ltm.as_ref())),
            }
        }
        self.send_index(&calls).await?;
        self.tell_updated(&current).await?;
        Ok(is_whole)
    }

    async fn send_index(&self, calls: &[Cmd]) -> Result<(), StoreError> {
        // The first call loads the script.
        if let Some((first, rest)) = calls.split_first() {
            script::INDEX.run(&self.redis, first).await?;
            let mut pipeline = redis::pipe();
            for call in rest {
                pipeline.add_command(call.clone());
            }
            if !rest.is_empty() {
                self.redis.pipeline(&pipeline, rest.len()).await?;
            }
        }
        Ok(())
    }

    /// Tells the index when these LTMs were updated. An older version of the services does not.
    async fn tell_updated(&self, ltms: &[ListedLtm]) -> Result<(), StoreError> {
        if ltms.is_empty() {
            return Ok(());
        }
        let mut tell = redis::cmd("ZADD");
        tell.arg(keys::LIST_UPDATED).arg("GT");
        for ltm in ltms {
            tell.arg(milliseconds(&ltm.row.updated_at));
            tell.arg(keys::index_member(ltm.row.id));
        }
        self.redis.query::<Value>(&tell).await?;
        Ok(())
    }

    /// What the index holds of these LTMs.
    async fn records(&self, ids: &[LtmId]) -> Result<Vec<Option<String>>, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::LIST_RECORDS);
        for &id in ids {
            get.arg(keys::index_member(id));
        }
        Ok(self.redis.query(&get).await?)
    }

    /// The LTM, with whether its log has errors. An older version of the services did not note that.
    async fn with_errors(&self, mut ltm: ListedLtm) -> Result<ListedLtm, StoreError> {
        if ltm.has_errors.is_some() {
            return Ok(ltm);
        }
        let id = ltm.row.id;
        let has = match self.log_has_errors(id).await {
            Ok(has) => has,
            Err(error) if error.is_temporary() => return Err(error),
            // It is deleted or damaged: nobody can say.
            Err(_) => return Ok(ltm),
        };
        let mut call = script::NOTE_ERRORS.call(&[&keys::meta(id)]);
        call.arg(if has { "1" } else { "0" });
        script::NOTE_ERRORS.run(&self.redis, &call).await?;
        ltm.has_errors = Some(has);
        Ok(ltm)
    }

    /// Reads the log for errors: the history index of the checkpoint, and the entries after it.
    async fn log_has_errors(&self, id: LtmId) -> Result<bool, StoreError> {
        let mut starts = Vec::new();
        for key in [keys::checkpoint(id), keys::base(id)] {
            if let Some(saved) = self.saved(id, &key).await? {
                starts.push((saved.cursor, saved.index.has_errors()));
            }
        }
        starts.push((Cursor::ORIGIN, false));
        // The checkpoint may belong to another history than the log.
        for (from, has_before) in starts {
            if let Some(has_after) = self.has_errors_after(id, from).await? {
                return Ok(has_before || has_after);
            }
        }
        Ok(false)
    }

    /// Whether the log has errors after this cursor; `None` if the log does not continue from it.
    async fn has_errors_after(&self, id: LtmId, from: Cursor) -> Result<Option<bool>, StoreError> {
        let mut at = from;
        loop {
            let read = self.read_after(id, at, WindowBounds::default());
            let Read::Continues(window) = read.await? else {
                return Ok(None);
            };
            if window.entries.iter().any(|entry| entry.kind == Kind::Error) {
                return Ok(Some(true));
            }
            match window.entries.last() {
                Some(last) if last.cursor != window.head => at = last.cursor,
                _ => return Ok(Some(false)),
            }
        }
    }
}

/// Whether the index holds what it should.
fn is_current(record: Option<&str>, ltm: &ListedLtm) -> bool {
    let Some(record) = record else {
        return false;
    };
    let mut lines = record.split('\n');
    let seq = lines.next().and_then(|seq| seq.parse().ok());
    seq.is_some_and(|seq: u64| seq <= ltm.cursor.seq)
        && lines.next() == Some(terms::counted(ltm).as_str())
        && lines.eq(terms::of(ltm).iter().map(String::as_str))
}

/// The call that brings an LTM up to date. `record` is what the index held before the LTM was read.
fn index_call(id: LtmId, mark: Option<Mark>, record: Option<&str>, ltm: Option<&ListedLtm>) -> Cmd {
    let mut call = script::INDEX.call(&[
        keys::LIST_RECORDS,
        keys::LIST_TERMS,
        keys::LIST_COUNTS,
        keys::LIST_MARKED,
        keys::LIST_UPDATED,
        keys::LIST_FIRST,
        keys::LIST_LAST,
    ]);
    let seq = |record: &str| record.split('\n').next()?.parse::<u64>().ok();
    // A record of a later entry than the LTM has is of entries that a failover has lost.
    let replaced = match (record, ltm) {
        (Some(record), Some(ltm)) => seq(record).is_none_or(|seq| seq > ltm.cursor.seq),
        (record, None) => record.is_some(),
        (None, Some(_)) => false,
    };
    call.arg(keys::index_member(id))
        .arg(record.filter(|_| replaced).unwrap_or_default())
        .arg(mark.map_or_else(String::new, |mark| mark.0.to_string()))
        .arg(MAX_COUNTED);
    let Some(ltm) = ltm else {
        for _ in 5..=10 {
            call.arg("");
        }
        return call;
    };
    let created = milliseconds(&ltm.row.created_at);
    let updated = milliseconds(&ltm.row.updated_at);
    call.arg(ltm.cursor.seq)
        .arg(terms::counted(ltm))
        .arg(updated)
        .arg(created.min(updated))
        .arg(created)
        .arg(id.get() / BLOCK);
    for term in terms::of(ltm) {
        call.arg(term);
    }
    call
}

/// Milliseconds since 1970; 0 if the text is not a time.
fn milliseconds(time: &str) -> i64 {
    time.parse().map_or(0, Timestamp::as_millisecond)
}

/// The id of a member of one of the sorted sets.
pub(crate) fn id_of(member: &str) -> Option<LtmId> {
    let digits = member.get(member.len().checked_sub(20)?..)?;
    digits.trim_start_matches('0').parse().ok()
}

/// The ids in an answer of members.
pub(crate) fn ids_in(answer: &Value) -> Vec<LtmId> {
    let members: Vec<String> = from_value(answer).unwrap_or_default();
    members.iter().filter_map(|member| id_of(member)).collect()
}
