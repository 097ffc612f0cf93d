//! Creates LTMs.

use ltm_state::RetentionOverride;
use ltm_types::{Cursor, Entry, LtmId, LtmKey, keys};
use redis::{Cmd, Value};

use crate::{
    error::StoreError,
    log::append::{Idempotency, ProducerEpoch},
    log::list::lists_of,
    log::meta::MetaFields,
    log::read::{NOT_A_CURSOR, Store, damaged},
    log::send::request_word,
    redis::script,
};

/// The most ids that are tried if LTMs with these ids exist already. Each try skips twice as many ids as the one
/// before.
const MAX_ID_TRIES: u32 = 16;
/// The largest chosen id that moves the counter. JavaScript counts exactly up to 2^53, so the counter can go on from
/// here.
const LAST_COUNTED: u64 = 1 << 52;
/// How long the Idempotency-Key of a creation is stored: one day, in seconds.
pub const CREATION_KEY_SECONDS: u64 = 24 * 60 * 60;

/// An LTM to create.
pub struct NewLtm<'a> {
    /// The id, if the producer chose one.
    pub id: Option<LtmId>,
    /// Its key, if it has one. If an LTM has it already, that LTM is found, and none is created.
    pub key: Option<&'a LtmKey>,
    /// Whether the LTM that has the key is replaced if it was deleted.
    pub reuse: bool,
    /// Its name.
    pub name: &'a str,
    /// Its class.
    pub fqn: &'a str,
    /// JSON text.
    pub params: &'a str,
    /// JSON text.
    pub structure: &'a str,
    /// JSON text: the instances of parameterised machines.
    pub concurrent_instances: &'a str,
    /// Its status: see [`ltm_state::State::status`].
    pub status: Option<&'a str>,
    /// Whether it is listed on the playground.
    pub playground: bool,
    /// The time of the creation: see [`ltm_types::now`].
    pub created_at: &'a str,
    /// Its own retention, which overrides the settings.
    pub retention: RetentionOverride,
    /// The producer, if the request names one.
    pub producer: Option<&'a ProducerEpoch>,
    /// Snapshot 0.
    pub first: &'a Entry,
}

/// An LTM that was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedLtm {
    /// Its id.
    pub id: LtmId,
    /// The cursor of its first entry.
    pub cursor: Cursor,
    /// Whether an earlier request with the same Idempotency-Key created it.
    pub replayed: bool,
    /// Whether this request created it, or the earlier one with the same Idempotency-Key. Otherwise it had the key
    /// before.
    pub is_new: bool,
}

/// Why an LTM was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The chosen id belongs to another LTM.
    #[error("the id {0} is taken")]
    Taken(LtmId),
    /// The LTM that had the key was deleted.
    #[error(
        "LTM {id} had this key and was deleted; send `?reuse=true` to give the key to a new LTM"
    )]
    KeyDeleted {
        /// Its id.
        id: LtmId,
        /// The cursor of the last entry of its log.
        cursor: Cursor,
    },
    /// The Idempotency-Key belongs to a request with other content.
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    /// Another request with the same Idempotency-Key is copying the LTM, or others with the same key delete and create
    /// LTMs all the time.
    #[error("another request with the same key is in progress; try again")]
    InProgress,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Creates an LTM with its first entry.
    ///
    /// With an Idempotency-Key it is created once: the key is bound to an id first. So a repeated request creates the
    /// same LTM, or finds it. The same holds for a [key](NewLtm::key), for ever.
    ///
    /// # Errors
    ///
    /// [`CreateError`]. Nothing is created then, but after [`StoreError::Unavailable`] and
    /// [`StoreError::OutcomeUnknown`] the outcome is unknown.
    pub async fn create(
        &self,
        new: &NewLtm<'_>,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<CreatedLtm, CreateError> {
        if let Some(key) = new.key {
            return self.create_with_key(key, new, idempotency).await;
        }
        for tries in 0..MAX_ID_TRIES {
            let binding = match idempotency {
                Some(idempotency) => self.binding(new.id, idempotency).await?,
                None => Binding::new(self.new_id(new.id).await?),
            };
            let id = binding.id;
            let is_free = match self.create_as(id, new, idempotency).await? {
                Attempt::Created(created) => return Ok(created),
                Attempt::Taken => true,
                Attempt::Deleted => binding.is_new,
            };
            // If the key was bound before, its LTM may have been created, and deleted since.
            if !is_free {
                return Err(CreateError::Taken(id));
            }
            if let Some(idempotency) = idempotency {
                self.unbind(id, idempotency).await?;
            }
            if new.id.is_some() {
                return Err(CreateError::Taken(id));
            }
            self.raise_counter(id.get().saturating_add(1 << tries))
                .await?;
        }
        Err(StoreError::Unexpected(format!(
            "the next ids are taken; set {} to the highest id",
            keys::IDS
        ))
        .into())
    }

    /// The id that an Idempotency-Key is bound to. Binds it to an id if it is new.
    async fn binding(
        &self,
        chosen: Option<LtmId>,
        idempotency: Idempotency<'_>,
    ) -> Result<Binding, CreateError> {
        if let Some(id) = self.bound(idempotency).await? {
            return Ok(Binding { id, is_new: false });
        }
        let id = self.new_id(chosen).await?;
        let bound = self.bind(id, idempotency).await?;
        Ok(Binding {
            id: bound,
            is_new: bound == id,
        })
    }

    /// The id that an Idempotency-Key is bound to.
    ///
    /// # Errors
    ///
    /// [`CreateError::KeyReused`] if the request had other content.
    pub(crate) async fn bound(
        &self,
        idempotency: Idempotency<'_>,
    ) -> Result<Option<LtmId>, CreateError> {
        let key = keys::created(idempotency.key);
        let bound: Option<String> = self
            .redis
            .query(redis::cmd("GET").arg(&key))
            .await
            .map_err(StoreError::from)?;
        let Some(bound) = bound else { return Ok(None) };
        let (id, of) = bound
            .split_once(' ')
            .and_then(|(id, of)| Some((id.parse().ok()?, of.parse::<u64>().ok()?)))
            .ok_or_else(|| {
                StoreError::Unexpected(format!("{key} is {bound:?}, which is not an id and a hash"))
            })?;
        if of != idempotency.fingerprint {
            return Err(CreateError::KeyReused);
        }
        if self.redis.is_cluster() && self.redis.waits_for_replicas() {
            let mut again = redis::cmd("EXPIRE");
            again.arg(&key).arg(CREATION_KEY_SECONDS);
            let kept = self.redis.write(&again).await.map_err(StoreError::from)?;
            // A failover has lost it since it was read.
            if kept != Value::Int(1) {
                return Ok(None);
            }
        }
        Ok(Some(id))
    }

    /// Binds an Idempotency-Key to an id. If another request has bound it first, returns that id.
    pub(crate) async fn bind(
        &self,
        id: LtmId,
        idempotency: Idempotency<'_>,
    ) -> Result<LtmId, CreateError> {
        let mut set = redis::cmd("SET");
        set.arg(keys::created(idempotency.key))
            .arg(bound_value(id, idempotency))
            .arg("NX")
            .arg("EX")
            .arg(CREATION_KEY_SECONDS);
        self.redis
            .write_aside(&set)
            .await
            .map_err(StoreError::from)?;
        let bound = self.bound(idempotency).await?;
        bound.ok_or_else(|| {
            StoreError::from(script::lost_by_failover("the record of an Idempotency-Key")).into()
        })
    }

    /// Removes the binding of an Idempotency-Key to this id.
    pub(crate) async fn unbind(
        &self,
        id: LtmId,
        idempotency: Idempotency<'_>,
    ) -> Result<(), StoreError> {
        let mut call = script::UNBIND.call(&[&keys::created(idempotency.key)]);
        call.arg(bound_value(id, idempotency));
        script::UNBIND.run(&self.redis, &call).await?;
        Ok(())
    }

    /// Creates the LTM with this id.
    pub(crate) async fn create_as(
        &self,
        id: LtmId,
        new: &NewLtm<'_>,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<Attempt, StoreError> {
        let mark = self.list_as(id, new.playground, new.fqn).await?;
        if new.retention != RetentionOverride::default() {
            self.mark_retention().await?;
        }
        let key = idempotency.map_or("", |idempotency| idempotency.key);
        let call = self.create_call(id, new, key);
        let created = self.send(id, &script::CREATE, &call).await;
        let outcome = match created {
            Ok(outcome) => outcome,
            Err(error) => {
                // Nobody else knows the id, so no other request can create the LTM now.
                let is_known = new.id.is_some() || new.key.is_some() || !key.is_empty();
                if error.is_refusal() && !is_known {
                    self.try_unlist(id, new.playground, new.fqn).await;
                }
                return Err(error);
            }
        };
        self.index_later(id, mark);
        let created = |cursor, replayed| {
            Attempt::Created(CreatedLtm {
                id,
                cursor,
                replayed,
                is_new: true,
            })
        };
        match outcome.word.as_str() {
            "ok" => Ok(created(new.first.cursor, false)),
            "earlier" => {
                let cursor = outcome.detail.parse();
                let cursor = cursor.map_err(|_| damaged(id, Cursor::ORIGIN, NOT_A_CURSOR))?;
                Ok(created(cursor, true))
            }
            // It may be the LTM of an earlier try.
            "deleted" if outcome.is_repeated && new.id.is_none() => {
                Err(StoreError::OutcomeUnknown(id))
            }
            word => {
                self.unlist_refused(id, new.playground, new.fqn).await;
                Ok(match word {
                    "deleted" => Attempt::Deleted,
                    _ => Attempt::Taken,
                })
            }
        }
    }

    /// Removes an id from the lists to which a creation has added it, if its LTM is not on them.
    pub(crate) async fn unlist_refused(&self, id: LtmId, playground: bool, fqn: &str) {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::meta(id)).arg("playground").arg("fqn");
        let found: Result<(Option<String>, Option<String>), _> = self.redis.query(&get).await;
        let Ok((on_playground, class)) = found else {
            return;
        };
        let is_same = |class_too: bool| {
            on_playground.as_deref() == Some(if playground { "1" } else { "0" })
                && (!class_too || class.as_deref() == Some(fqn))
        };
        for (list, class_too) in lists_of(playground, fqn).iter().zip([false, true]) {
            if !is_same(class_too) {
                self.try_remove(list, id).await;
            }
        }
    }

    /// A chosen id, or the next id of the counter.
    pub(crate) async fn new_id(&self, chosen: Option<LtmId>) -> Result<LtmId, StoreError> {
        let Some(id) = chosen else {
            return self.next_id().await;
        };
        // The counter must not return it later.
        if id.get() <= LAST_COUNTED {
            self.raise_counter(id.get()).await?;
        }
        Ok(id)
    }

    pub(crate) async fn next_id(&self) -> Result<LtmId, StoreError> {
        let number: u64 = self.redis.query(redis::cmd("INCR").arg(keys::IDS)).await?;
        LtmId::new(number).map_err(|_| StoreError::Unexpected(format!("{} is below 1", keys::IDS)))
    }

    /// Raises the counter of ids, if it is lower.
    pub(crate) async fn raise_counter(&self, to: u64) -> Result<(), StoreError> {
        let mut call = script::RESERVE.call(&[keys::IDS]);
        call.arg(to);
        script::RESERVE.run(&self.redis, &call).await?;
        Ok(())
    }

    fn create_call(&self, id: LtmId, new: &NewLtm<'_>, key: &str) -> Cmd {
        let mut call = script::CREATE.call(&[&keys::log(id), &keys::meta(id), &keys::deleted(id)]);
        call.arg(new.first.cursor.to_string())
            .arg(new.first.kind.as_str())
            .arg(&*new.first.payload)
            .arg(self.redis.live_channel(id))
            .arg(self.redis.publish_command())
            .arg(request_word())
            .arg(key);
        if let Some(producer) = new.producer {
            call.arg(format!("producer:{}", producer.name))
                .arg(producer.epoch);
            call.arg("producers").arg(1);
        }
        let meta = MetaFields {
            name: new.name,
            fqn: new.fqn,
            key: new.key.map(LtmKey::key),
            params: new.params,
            structure: new.structure,
            concurrent_instances: new.concurrent_instances,
            playground: new.playground,
            source: None,
            created_at: new.created_at,
            updated_at: new.created_at,
            snapshots_count: 1,
            retention: new.retention,
            cursor: new.first.cursor,
            status: new.status,
            base: None,
            bytes: new.first.payload.len() as u64,
        };
        meta.write(&mut call);
        call
    }
}

/// The id that an Idempotency-Key is bound to.
struct Binding {
    id: LtmId,
    /// Whether this request has bound it.
    is_new: bool,
}

impl Binding {
    fn new(id: LtmId) -> Self {
        Self { id, is_new: true }
    }
}

/// The outcome of a creation with one id.
pub(crate) enum Attempt {
    Created(CreatedLtm),
    /// Another LTM has the id.
    Taken,
    /// An LTM with the id was deleted.
    Deleted,
}

fn bound_value(id: LtmId, idempotency: Idempotency<'_>) -> String {
    format!("{id} {}", idempotency.fingerprint)
}
