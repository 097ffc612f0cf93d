//! Restores the records of a backup.

use jiff::Timestamp;
use ltm_types::{Cursor, Kind, LtmId, LtmKey, keys};
use redis::Value;

use super::{
    read::text,
    record::{Fields, LtmKeys, Record, StoredEntry},
};
use crate::{
    error::StoreError,
    list::told::Mark,
    log::read::{Store, damaged},
    redis::script,
};

/// The highest number that the counter of ids may have: a script in Redis counts exactly up to there.
const HIGHEST_COUNT: u64 = 1 << 53;
/// The most LTMs that are brought into the index of the lists at once.
const INDEXED_AT_ONCE: usize = 128;

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The LTM is complete.
    Ltm(LtmId),
    /// The LTM was left as it is.
    Skipped(LtmId, Skipped),
    /// Anything else.
    Taken,
}

/// Why an LTM was not restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It is there, with all entries of the backup and perhaps more.
    #[error("it is there already")]
    Present,
    /// There is an LTM with this id and another history.
    #[error("there is another LTM with this id, whose head is {0}")]
    Other(Cursor),
    /// An LTM with this id was deleted.
    #[error("an LTM with this id was deleted")]
    Deleted,
    /// Another LTM has its key.
    #[error("its key belongs to LTM {0}")]
    KeyTaken(LtmId),
}

/// A restore.
pub struct Restore {
    store: Store,
    current: Option<Current>,
    /// LTMs that are not in the index of the lists yet.
    unindexed: Vec<(LtmId, Option<Mark>)>,
}

/// The LTM whose records come.
struct Current {
    keys: Box<LtmKeys>,
    head: Cursor,
    /// The cursor of the last entry; at first, the one before the first entry.
    at: Cursor,
    /// Whether the log has an entry.
    has_entries: bool,
    skipped: Option<Skipped>,
}

impl Store {
    /// Begins a restore. Services may run meanwhile.
    pub fn restore(&self) -> Restore {
        Restore {
            store: self.clone(),
            current: None,
            unindexed: Vec::new(),
        }
    }

    /// Why an LTM cannot be restored.
    async fn obstacle(&self, keys: &LtmKeys, head: Cursor) -> Result<Option<Skipped>, StoreError> {
        match self.head(keys.id).await {
            Ok(_) if self.has_been_at(keys.id, head).await? => return Ok(Some(Skipped::Present)),
            Ok(other) => return Ok(Some(Skipped::Other(other))),
            Err(StoreError::Deleted { .. }) => return Ok(Some(Skipped::Deleted)),
            Err(StoreError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        let Some(key) = key_of(keys) else {
            return Ok(None);
        };
        match self.id_of(&key).await {
            Ok(other) if other != keys.id => Ok(Some(Skipped::KeyTaken(other))),
            Ok(_) | Err(StoreError::UnknownKey(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Binds a key to an id. A record that leads to an LTM without this key counts as absent. Returns the id that the key is
    /// bound to.
    async fn bind_restored(&self, key: &LtmKey, id: LtmId) -> Result<LtmId, StoreError> {
        let name = keys::keyed(key);
        let bound: Option<String> = self.redis.query(redis::cmd("GET").arg(&name)).await?;
        let stale = match (&bound, self.id_of(key).await) {
            (Some(bound), Err(StoreError::UnknownKey(_))) => bound.clone(),
            (_, Err(error)) if !matches!(error, StoreError::UnknownKey(_)) => return Err(error),
            _ => String::new(),
        };
        let mut call = script::BIND.call(&[&name]);
        call.arg(id.get()).arg(stale);
        let answer = script::BIND.write(&self.redis, &call).await?;
        let bound = text(&answer).and_then(|bound| bound.parse().ok());
        bound.ok_or_else(|| StoreError::Unexpected(format!("{name} is bound to no id")))
    }
}

/// The key of an LTM, if it has one.
fn key_of(keys: &LtmKeys) -> Option<LtmKey> {
    LtmKey::new(keys.fqn(), keys.meta.get("key")?).ok()
}

impl Restore {
    /// Takes the next record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if the record does not continue the ones before; [`StoreError::Unavailable`];
    /// [`StoreError::Rejected`]. The same backup can then be restored again, from its beginning.
    pub async fn take(&mut self, record: Record) -> Result<Restored, StoreError> {
        match record {
            Record::Ltm(keys) => self.begin(keys).await?,
            Record::Entries(entries) => self.add(&entries).await?,
            Record::Again(_) => self.discard().await?,
            Record::End(id) => return self.end(id).await,
            Record::Deleted { id, cursor } => return self.bury(id, cursor).await,
            Record::Key { fqn, key, id } => {
                if let Ok(key) = LtmKey::new(fqn, key) {
                    self.store.bind_restored(&key, id).await?;
                }
            }
            Record::Creation { key, value, until } => self.keep(&key, &value, until).await?,
            Record::Revocations(revocations) => self.revoke(&revocations).await?,
            Record::Ids(highest) if highest > HIGHEST_COUNT => {
                let detail = format!("the backup has a counter of ids beyond 2^53: {highest}");
                return Err(StoreError::Unexpected(detail));
            }
            Record::Ids(highest) => self.store.raise_counter(highest).await?,
            Record::Start(_) | Record::Complete(_) => {}
        }
        Ok(Restored::Taken)
    }

    /// Brings the last LTMs into the index of the lists.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn finish(mut self) -> Result<(), StoreError> {
        self.discard().await?;
        self.index().await
    }

    async fn begin(&mut self, keys: Box<LtmKeys>) -> Result<(), StoreError> {
        self.discard().await?;
        let unreadable = || damaged(keys.id, Cursor::ORIGIN, "the backup has no cursor of it");
        let (Some(head), Some(at)) = (keys.head(), keys.origin()) else {
            return Err(unreadable());
        };
        let id = keys.id;
        let skipped = self.store.obstacle(&keys, head).await?;
        let is_new = skipped.is_none();
        self.current = Some(Current {
            keys,
            head,
            at,
            has_entries: false,
            skipped,
        });
        if is_new {
            // An earlier restore may have been interrupted here.
            self.store.discard(id, "").await?;
            self.write(&[]).await?;
        }
        Ok(())
    }

    async fn add(&mut self, entries: &[StoredEntry]) -> Result<(), StoreError> {
        let Some(current) = &self.current else {
            return Err(StoreError::Unexpected(
                "the backup has entries of no LTM".into(),
            ));
        };
        if current.skipped.is_some() {
            return Ok(());
        }
        let mut at = current.at;
        for (cursor, kind, payload) in entries {
            if !cursor.continues(at, &Kind::from_name(kind), payload) {
                let detail = "the backup has an entry that does not continue the one before it";
                return Err(damaged(current.keys.id, *cursor, detail));
            }
            at = *cursor;
        }
        self.write(entries).await?;
        if let Some(current) = &mut self.current {
            current.at = at;
            current.has_entries |= !entries.is_empty();
        }
        Ok(())
    }

    /// Adds entries to the unfinished log; without entries, its base.
    async fn write(&self, entries: &[StoredEntry]) -> Result<(), StoreError> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let id = current.keys.id;
        let base = &current.keys.base;
        if entries.is_empty() && base.is_empty() {
            return Ok(());
        }
        let base = ["cursor", "state", "outline", "time"].map(|field| {
            let value = base.get(field).filter(|_| entries.is_empty());
            value.map_or("", String::as_str)
        });
        let last = current.has_entries.then_some(current.at);
        let entries = entries.iter();
        let entries = entries.map(|(cursor, kind, payload)| (*cursor, &**kind, &**payload));
        let store = &self.store;
        match store.write_unfinished(id, base, last, entries).await? {
            true => Ok(()),
            false => Err(StoreError::CopyLost(id)),
        }
    }

    async fn end(&mut self, id: LtmId) -> Result<Restored, StoreError> {
        let Some(current) = self.current.take().filter(|it| it.keys.id == id) else {
            return Err(StoreError::Unexpected(format!(
                "the backup ends LTM {id}, which has not begun"
            )));
        };
        let Current { keys, head, at, .. } = current;
        if let Some(skipped) = current.skipped {
            return Ok(Restored::Skipped(id, skipped));
        }
        if at != head {
            let detail = format!("the backup has no entries from here to the head {head}");
            return Err(damaged(id, at, &detail));
        }
        let (playground, fqn) = (keys.is_on_playground(), keys.fqn());
        if keys.meta.contains_key("retention") {
            self.store.mark_retention().await?;
        }
        self.store.new_id(Some(id)).await?;
        let mark = self.store.list_as(id, playground, fqn).await?;
        if let Some(key) = key_of(&keys) {
            let bound = self.store.bind_restored(&key, id).await?;
            if bound != id {
                // Another LTM has taken the key since this one began.
                self.store.unlist_refused(id, playground, fqn).await;
                self.store.discard(id, "").await?;
                return Ok(Restored::Skipped(id, Skipped::KeyTaken(bound)));
            }
        }
        self.adopt(&keys, head).await?;
        self.unindexed.push((id, Some(mark)));
        if self.unindexed.len() >= INDEXED_AT_ONCE {
            self.index().await?;
        }
        Ok(Restored::Ltm(id))
    }

    /// Makes the finished log an LTM.
    async fn adopt(&self, keys: &LtmKeys, head: Cursor) -> Result<(), StoreError> {
        let id = keys.id;
        let mut call = script::RESTORE.call(&[
            &keys::log(id),
            &keys::meta(id),
            &keys::deleted(id),
            &keys::base(id),
            &keys::idempotency(id),
            &keys::checkpoint(id),
        ]);
        let hashes = [&keys.meta, &keys.idem, &keys.checkpoint];
        call.arg(head.to_string());
        for hash in hashes {
            call.arg(hash.len());
        }
        for (field, value) in hashes.into_iter().flatten() {
            call.arg(field).arg(value);
        }
        match script::RESTORE.write(&self.store.redis, &call).await? {
            Value::Int(1) => Ok(()),
            _ => Err(StoreError::CopyLost(id)),
        }
    }

    async fn index(&mut self) -> Result<(), StoreError> {
        let ltms = std::mem::take(&mut self.unindexed);
        self.store.index_all(&ltms).await?;
        Ok(())
    }

    /// Forgets the LTM that has begun.
    async fn discard(&mut self) -> Result<(), StoreError> {
        let begun = self.current.take().filter(|it| it.skipped.is_none());
        if let Some(current) = begun {
            self.store.discard(current.keys.id, "").await?;
        }
        Ok(())
    }

    async fn bury(&self, id: LtmId, cursor: Cursor) -> Result<Restored, StoreError> {
        self.store.new_id(Some(id)).await?;
        let mut call = script::BURY.call(&[&keys::meta(id), &keys::deleted(id)]);
        call.arg(cursor.to_string());
        Ok(match script::BURY.write(&self.store.redis, &call).await? {
            Value::Int(1) => Restored::Taken,
            _ => Restored::Skipped(id, Skipped::Other(self.store.head(id).await?)),
        })
    }

    /// Stores the Idempotency-Key of a creation, if it still counts.
    async fn keep(&self, key: &str, value: &str, until: i64) -> Result<(), StoreError> {
        let left = until - Timestamp::now().as_millisecond();
        if left <= 0 {
            return Ok(());
        }
        let mut set = redis::cmd("SET");
        set.arg(keys::created(key)).arg(value);
        set.arg("NX").arg("PX").arg(left);
        self.store.redis.query::<Value>(&set).await?;
        Ok(())
    }

    /// Adds the revoked credentials to those that there are.
    async fn revoke(&self, revocations: &Fields) -> Result<(), StoreError> {
        if revocations.is_empty() {
            return Ok(());
        }
        let mut set = redis::cmd("HSET");
        set.arg(keys::REVOCATIONS);
        for (credential, end) in revocations {
            set.arg(credential).arg(end);
        }
        self.store.redis.write(&set).await?;
        Ok(())
    }
}
