//! Creates LTMs.

use ltm_state::RetentionOverride;
use ltm_types::{Cursor, Entry, LtmId, keys};
use redis::{Cmd, Value};

use crate::{
    error::StoreError,
    log::append::{Idempotency, outcome},
    log::meta::MetaFields,
    log::read::{NOT_A_CURSOR, Store, damaged},
    redis::script,
};

/// The most ids that are tried if LTMs with these ids exist already.
const MAX_ID_TRIES: u32 = 16;
/// The largest number that Redis's scripts count exactly. Larger ids never come from the counter.
const LAST_COUNTED: u64 = 1 << 53;
/// How long the Idempotency-Key of a creation is stored: one day, in seconds.
pub const CREATION_KEY_SECONDS: u64 = 24 * 60 * 60;

/// An LTM to create.
pub struct NewLtm<'a> {
    /// The id, if the producer chose one.
    pub id: Option<LtmId>,
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
}

/// Why an LTM was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The chosen id belongs to another LTM.
    #[error("the id {0} is taken")]
    Taken(LtmId),
    /// The Idempotency-Key belongs to a request with other content.
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Creates an LTM with its first entry.
    ///
    /// # Errors
    ///
    /// [`CreateError`]. Nothing is created then, but after [`StoreError::Unavailable`] the outcome is unknown.
    pub async fn create(
        &self,
        new: &NewLtm<'_>,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<CreatedLtm, CreateError> {
        if let Some(idempotency) = idempotency {
            return self.create_once(new, idempotency).await;
        }
        if let Some(id) = new.id {
            self.reserve(id).await?;
            return self
                .create_as(id, new, "")
                .await?
                .ok_or(CreateError::Taken(id));
        }
        for _ in 0..MAX_ID_TRIES {
            let id = self.next_id().await?;
            if let Some(created) = self.create_as(id, new, "").await? {
                return Ok(created);
            }
        }
        Err(StoreError::Unexpected(format!(
            "the next {MAX_ID_TRIES} ids are taken; set {} to the highest id",
            keys::IDS
        ))
        .into())
    }

    /// Creates an LTM once per Idempotency-Key. The key is bound to an id first. So a repeated request creates the
    /// same LTM, or finds it.
    async fn create_once(
        &self,
        new: &NewLtm<'_>,
        idempotency: Idempotency<'_>,
    ) -> Result<CreatedLtm, CreateError> {
        let (id, of) = match self.bound(idempotency.key).await? {
            Some(bound) => bound,
            None => self.bind(new, idempotency).await?,
        };
        if of != idempotency.fingerprint {
            return Err(CreateError::KeyReused);
        }
        if let Some(created) = self.create_as(id, new, idempotency.key).await? {
            return Ok(created);
        }
        let mut get = redis::cmd("HGET");
        get.arg(keys::meta(id)).arg("creation_key");
        let creation_key: Option<String> =
            self.redis.query(&get).await.map_err(StoreError::from)?;
        if creation_key.as_deref() != Some(idempotency.key) {
            return Err(CreateError::Taken(id));
        }
        Ok(CreatedLtm {
            id,
            cursor: self.first_cursor(id).await?,
            replayed: true,
        })
    }

    /// The id that an Idempotency-Key is bound to, and the fingerprint of its request.
    async fn bound(&self, key: &str) -> Result<Option<(LtmId, u64)>, StoreError> {
        let key = keys::created(key);
        let bound: Option<String> = self.redis.query(redis::cmd("GET").arg(&key)).await?;
        let Some(bound) = bound else { return Ok(None) };
        bound
            .split_once(' ')
            .and_then(|(id, of)| Some((id.parse().ok()?, of.parse().ok()?)))
            .map(Some)
            .ok_or_else(|| {
                StoreError::Unexpected(format!("{key} is {bound:?}, which is not an id and a hash"))
            })
    }

    /// Binds an Idempotency-Key to an id. If another request has bound it first, returns that id.
    async fn bind(
        &self,
        new: &NewLtm<'_>,
        idempotency: Idempotency<'_>,
    ) -> Result<(LtmId, u64), StoreError> {
        let id = match new.id {
            Some(id) => {
                self.reserve(id).await?;
                id
            }
            None => self.next_id().await?,
        };
        let mut set = redis::cmd("SET");
        set.arg(keys::created(idempotency.key))
            .arg(format!("{id} {}", idempotency.fingerprint))
            .arg("NX")
            .arg("EX")
            .arg(CREATION_KEY_SECONDS);
        self.redis.query::<Value>(&set).await?;
        let bound = self.bound(idempotency.key).await?;
        bound.ok_or_else(|| {
            StoreError::Unexpected(format!(
                "{} disappeared right after it was written",
                keys::created(idempotency.key)
            ))
        })
    }

    /// Creates the LTM with this id; `None` if the id is taken.
    async fn create_as(
        &self,
        id: LtmId,
        new: &NewLtm<'_>,
        key: &str,
    ) -> Result<Option<CreatedLtm>, StoreError> {
        let cursor = new.first.cursor;
        self.list_as(id, new.playground, new.fqn).await?;
        if new.retention != RetentionOverride::default() {
            self.mark_retention().await?;
        }
        let (answer, uncertain) = self
            .send(&script::CREATE, &self.create_call(id, new, key))
            .await?;
        let created = CreatedLtm {
            id,
            cursor,
            replayed: false,
        };
        match outcome(id, &answer)?.0.as_str() {
            "ok" => Ok(Some(created)),
            _ if uncertain && self.entry(id, cursor).await?.is_some() => Ok(Some(created)),
            _ => Ok(None),
        }
    }

    async fn first_cursor(&self, id: LtmId) -> Result<Cursor, StoreError> {
        let mut range = redis::cmd("XRANGE");
        range
            .arg(keys::log(id))
            .arg("-")
            .arg("+")
            .arg("COUNT")
            .arg(1);
        let found: Vec<(String, Vec<Vec<u8>>)> = self.redis.query(&range).await?;
        let (cursor, _) = found.first().ok_or(StoreError::Unknown(id))?;
        cursor
            .parse()
            .map_err(|_| damaged(id, Cursor::ORIGIN, NOT_A_CURSOR))
    }

    pub(crate) async fn next_id(&self) -> Result<LtmId, StoreError> {
        let number: u64 = self.redis.query(redis::cmd("INCR").arg(keys::IDS)).await?;
        LtmId::new(number).map_err(|_| StoreError::Unexpected(format!("{} is below 1", keys::IDS)))
    }

    /// Keeps the counter from returning a chosen id later.
    async fn reserve(&self, id: LtmId) -> Result<(), StoreError> {
        if id.get() <= LAST_COUNTED {
            let mut call = script::RESERVE.call(&[keys::IDS]);
            call.arg(id.get());
            self.send(&script::RESERVE, &call).await?;
        }
        Ok(())
    }

    fn create_call(&self, id: LtmId, new: &NewLtm<'_>, key: &str) -> Cmd {
        let mut call = script::CREATE.call(&[&keys::log(id), &keys::meta(id), &keys::deleted(id)]);
        call.arg(new.first.cursor.to_string())
            .arg(new.first.kind.as_str())
            .arg(&*new.first.payload)
            .arg(self.redis.live_channel(id))
            .arg(self.redis.publish_command());
        let meta = MetaFields {
            name: new.name,
            fqn: new.fqn,
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
        };
        meta.write(&mut call);
        call.arg("creation_key").arg(key);
        call
    }
}
