//! Reads one LTM for a backup.

use std::collections::VecDeque;

use ltm_types::{Cursor, LtmId, keys};
use redis::{Value, from_redis_value_ref as from_value};

use super::record::{Fields, LtmKeys, Record};
use crate::{
    error::{Rejection, StoreError},
    log::read::{Read, Store, WindowBounds, damaged},
    redis::script,
};

/// The most times that an LTM is read again because its log was trimmed or replaced in the meantime.
const MAX_TRIES: u32 = 8;

/// An LTM that is being backed up.
pub struct LtmBackup {
    store: Store,
    id: LtmId,
    head: Cursor,
    at: Cursor,
    /// Records that are next.
    ready: VecDeque<Record>,
    tries: u32,
    is_over: bool,
}

impl Store {
    /// Begins to back up an LTM; `None` if there is none with this id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Damaged`] if a key cannot be read.
    pub async fn back_up(&self, id: LtmId) -> Result<Option<LtmBackup>, StoreError> {
        let mut backup = LtmBackup {
            store: self.clone(),
            id,
            head: Cursor::ORIGIN,
            at: Cursor::ORIGIN,
            ready: VecDeque::new(),
            tries: 0,
            is_over: false,
        };
        Ok(backup.begin().await?.then_some(backup))
    }

    /// All keys of an LTM but its log, at one moment; `None` if there is no LTM.
    async fn keys_of_ltm(&self, id: LtmId) -> Result<Option<LtmKeys>, StoreError> {
        let call = script::KEYS.call(&[
            &keys::meta(id),
            &keys::base(id),
            &keys::checkpoint(id),
            &keys::idempotency(id),
        ]);
        let answer = script::KEYS.run(&self.redis, &call).await;
        let answer = answer.map_err(|error| damage(id, error.into()))?;
        let unreadable = || damaged(id, Cursor::ORIGIN, "a key beside the log cannot be read");
        let hashes: Vec<Vec<String>> = from_value(&answer).map_err(|_| unreadable())?;
        let mut hashes = hashes.into_iter().map(fields);
        let mut next = || hashes.next().unwrap_or_default();
        let keys = LtmKeys {
            id,
            meta: next(),
            base: next(),
            checkpoint: next(),
            idem: next(),
        };
        if keys.meta.is_empty() {
            return Ok(None);
        }
        match (keys.head(), keys.origin()) {
            (Some(_), Some(_)) => Ok(Some(keys)),
            _ => Err(unreadable()),
        }
    }
}

/// The error of a read of an LTM. A key with a type that this program does not give it is damage.
fn damage(id: LtmId, error: StoreError) -> StoreError {
    match error {
        StoreError::Rejected(Rejection::Other(error)) if error.code() == Some("WRONGTYPE") => {
            damaged(id, Cursor::ORIGIN, "one of its keys has another type")
        }
        other => other,
    }
}

/// The fields in an answer to HGETALL.
fn fields(answer: Vec<String>) -> Fields {
    let mut answer = answer.into_iter();
    let mut fields = Fields::new();
    while let (Some(name), Some(value)) = (answer.next(), answer.next()) {
        fields.insert(name, value);
    }
    fields
}

impl LtmBackup {
    /// The next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Store::back_up`].
    pub async fn next(&mut self) -> Result<Option<Record>, StoreError> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            if self.is_over {
                return Ok(None);
            }
            if self.at == self.head {
                self.is_over = true;
                return Ok(Some(Record::End(self.id)));
            }
            self.read().await?;
        }
    }

    /// Reads the next entries.
    async fn read(&mut self) -> Result<(), StoreError> {
        let bounds = WindowBounds::default();
        let window = match self.store.read_after(self.id, self.at, bounds).await {
            Ok(Read::Continues(window)) => window,
            Ok(Read::Trimmed | Read::Forked) => return self.again().await,
            Err(StoreError::Deleted { .. } | StoreError::Unknown(_)) => {
                self.ready.push_back(Record::Again(self.id));
                self.is_over = true;
                return Ok(());
            }
            Err(error) => return Err(damage(self.id, error)),
        };
        let until = self.head.seq;
        let entries = window.entries.into_iter();
        let entries = entries.take_while(|entry| entry.cursor.seq <= until);
        let entries: Vec<_> = entries
            .map(|entry| {
                (
                    entry.cursor,
                    entry.kind.as_str().to_owned(),
                    entry.payload.to_string(),
                )
            })
            .collect();
        match entries.last() {
            Some((last, ..)) if last.seq < until || *last == self.head => self.at = *last,
            // A failover has replaced the entries up to the head.
            _ => return self.again().await,
        }
        self.ready.push_back(Record::Entries(entries));
        Ok(())
    }

    /// Begins anew: a trim or a failover has changed the log.
    async fn again(&mut self) -> Result<(), StoreError> {
        self.tries += 1;
        if self.tries > MAX_TRIES {
            let detail = "the log does not lead from its base to its head; run `ltm verify`";
            return Err(damaged(self.id, self.at, detail));
        }
        self.ready.push_back(Record::Again(self.id));
        self.is_over = !self.begin().await?;
        Ok(())
    }

    /// Reads the keys beside the log. Returns whether there is an LTM.
    async fn begin(&mut self) -> Result<bool, StoreError> {
        let Some(keys) = self.store.keys_of_ltm(self.id).await? else {
            return Ok(false);
        };
        self.head = keys.head().unwrap_or(Cursor::ORIGIN);
        self.at = keys.origin().unwrap_or(Cursor::ORIGIN);
        self.ready.push_back(Record::Ltm(Box::new(keys)));
        Ok(true)
    }
}

/// Reads a text from an answer.
pub(super) fn text(value: &Value) -> Option<String> {
    from_value::<Option<String>>(value).ok().flatten()
}
