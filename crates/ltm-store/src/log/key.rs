//! The keys of LTMs: which LTM has a key, and the creation of an LTM with one.
//!
//! The record of a key holds an id. It is in another slot than the LTM, so it is written first, by a step of its own.
//! If the service ends between the two, the key is bound to an id without an LTM: nothing is found under the key, and
//! the next creation makes the LTM with that id. A record can also be bound to an id that a producer then chose for
//! another LTM. So a record alone proves nothing: the LTM itself stores its key, and has the last word.

use ltm_types::{Cursor, LtmId, LtmKey, keys};
use redis::from_redis_value_ref as from_value;

use crate::{
    error::StoreError,
    log::{
        append::Idempotency,
        create::{Attempt, CreateError, CreatedLtm, NewLtm},
        read::{NOT_A_CURSOR, Store, damaged},
    },
    redis::script,
};

/// The most times that a creation is tried if other requests keep changing what has the key.
const MAX_TRIES: u32 = 16;

/// The fields of an LTM that tell whether it has a key.
const HOLDER_FIELDS: [&str; 5] = ["cursor", "fqn", "key", "creation_key", "creation_cursor"];

/// What an id belongs to that a key is bound to.
enum Holder {
    /// The LTM with this key.
    Ltm {
        head: Cursor,
        /// The Idempotency-Key of the request that created it, and the cursor of its first entry.
        creation: Option<(String, Cursor)>,
    },
    /// Nothing yet.
    Nothing,
    /// An LTM that was deleted; the last cursor of its log.
    Deleted(Cursor),
    /// An LTM without this key.
    Other,
}

/// The id that a key is bound to.
struct Bound {
    id: LtmId,
    /// Whether an earlier request has bound it.
    earlier: bool,
}

impl Store {
    /// The id of the LTM that has this key. It may have been deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownKey`], [`StoreError::Unavailable`].
    pub async fn id_of(&self, key: &LtmKey) -> Result<LtmId, StoreError> {
        let unknown = || StoreError::UnknownKey(key.clone());
        let id = self.bound_id(key).await?.ok_or_else(unknown)?;
        match self.holder(id, key).await? {
            Holder::Ltm { .. } | Holder::Deleted(_) => Ok(id),
            Holder::Nothing | Holder::Other => Err(unknown()),
        }
    }

    /// Creates an LTM with a key, or finds the LTM that has it.
    pub(crate) async fn create_with_key(
        &self,
        key: &LtmKey,
        new: &NewLtm<'_>,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<CreatedLtm, CreateError> {
        if let Some(idempotency) = idempotency {
            self.bound(idempotency).await?;
        }
        let mut replaced = None;
        for _ in 0..MAX_TRIES {
            let bound = self.bind_key(key, new.id, replaced.take()).await?;
            let id = bound.id;
            match self.holder(id, key).await? {
                Holder::Nothing => {
                    if let Some(created) = self.create_bound(&bound, new, idempotency).await? {
                        return Ok(created);
                    }
                }
                Holder::Ltm { head, creation } => {
                    // A failover may have lost it since it was read.
                    if !self.await_replicas(&keys::meta(id), "cursor").await? {
                        continue;
                    }
                    let creation = creation.filter(|(key, _)| {
                        idempotency.is_some_and(|idempotency| idempotency.key == key)
                    });
                    let replayed = creation.is_some();
                    return Ok(CreatedLtm {
                        id,
                        cursor: creation.map_or(head, |(_, first)| first),
                        replayed,
                        is_new: replayed,
                    });
                }
                Holder::Deleted(_) if new.reuse => replaced = Some(id),
                Holder::Deleted(cursor) => return Err(CreateError::KeyDeleted { id, cursor }),
                Holder::Other => replaced = Some(id),
            }
        }
        Err(CreateError::InProgress)
    }

    /// Creates the LTM that a key is bound to; `None` if another request was faster, or the id belongs to another LTM.
    async fn create_bound(
        &self,
        bound: &Bound,
        new: &NewLtm<'_>,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<Option<CreatedLtm>, CreateError> {
        let id = bound.id;
        if let Some(idempotency) = idempotency {
            self.bind(id, idempotency).await?;
        }
        let Attempt::Created(created) = self.create_as(id, new, idempotency).await? else {
            return Ok(None);
        };
        if bound.earlier {
            // A list that met the id long before may have removed it meanwhile.
            let mark = self.list_as(id, new.playground, new.fqn).await?;
            self.index_later(id, mark);
        }
        Ok(Some(created))
    }

    /// The id that a key is bound to. Binds it to a chosen id, or to the next one, if it is not bound, or is bound to
    /// `replaced`.
    async fn bind_key(
        &self,
        key: &LtmKey,
        chosen: Option<LtmId>,
        replaced: Option<LtmId>,
    ) -> Result<Bound, CreateError> {
        let known = self.bound_id(key).await?.filter(|id| Some(*id) != replaced);
        let earlier = known.is_some();
        let id = match known {
            Some(id) if !self.redis.waits_for_replicas() => return Ok(Bound { id, earlier }),
            Some(id) => id,
            None => self.free_id(chosen).await?,
        };
        let name = keys::keyed(key);
        let mut call = script::BIND.call(&[&name]);
        call.arg(id.get())
            .arg(replaced.map_or_else(String::new, |id| id.to_string()));
        // Without a cluster, the write to the LTM waits for the replicas of the same Redis.
        let bound = if self.redis.is_cluster() {
            let bound = script::BIND.write(&self.redis, &call).await;
            bound.map_err(StoreError::from)?
        } else {
            let bound = script::BIND.run(&self.redis, &call).await;
            bound.map_err(StoreError::from)?
        };
        let bound = from_value::<String>(&bound).unwrap_or_default();
        let bound = read_id(&name, &bound)?;
        Ok(Bound {
            id: bound,
            earlier: earlier || bound != id,
        })
    }

    /// The next id, or a chosen one that belongs to no LTM.
    async fn free_id(&self, chosen: Option<LtmId>) -> Result<LtmId, CreateError> {
        if let Some(id) = chosen {
            match self.head(id).await {
                Err(StoreError::Unknown(_)) => {}
                Ok(_) | Err(StoreError::Deleted { .. }) => return Err(CreateError::Taken(id)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.new_id(chosen).await?)
    }

    /// The id in the record of a key.
    async fn bound_id(&self, key: &LtmKey) -> Result<Option<LtmId>, StoreError> {
        let name = keys::keyed(key);
        let id: Option<String> = self.redis.query(redis::cmd("GET").arg(&name)).await?;
        id.map(|id| read_id(&name, &id)).transpose()
    }

    /// What an id belongs to.
    async fn holder(&self, id: LtmId, key: &LtmKey) -> Result<Holder, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::meta(id)).arg(&HOLDER_FIELDS);
        let fields: Vec<Option<String>> = self.redis.query(&get).await?;
        let mut fields = fields.into_iter().map(Option::unwrap_or_default);
        let mut field = || fields.next().unwrap_or_default();
        let (head, fqn, name, creation_key, first) = (field(), field(), field(), field(), field());
        if head.is_empty() {
            return match self.missing(id).await {
                StoreError::Unknown(_) => Ok(Holder::Nothing),
                StoreError::Deleted { cursor, .. } => Ok(Holder::Deleted(cursor)),
                error => Err(error),
            };
        }
        if fqn != key.fqn() || name != key.key() {
            return Ok(Holder::Other);
        }
        let head = head.parse();
        let head = head.map_err(|_| damaged(id, Cursor::ORIGIN, NOT_A_CURSOR))?;
        let creation = first.parse().ok().map(|first| (creation_key, first));
        let creation = creation.filter(|(key, _)| !key.is_empty());
        Ok(Holder::Ltm { head, creation })
    }
}

fn read_id(name: &str, id: &str) -> Result<LtmId, StoreError> {
    id.parse()
        .map_err(|_| StoreError::Unexpected(format!("{name} is {id:?}, which is not an id")))
}
