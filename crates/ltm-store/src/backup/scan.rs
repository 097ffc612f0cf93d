//! Finds everything that a backup holds: a scan over all keys, while Redis keeps serving.

use jiff::Timestamp;
use ltm_types::{Cursor, LtmId, LtmKey, keys};
use redis::{cluster::NodeAddress, from_redis_value_ref as from_value};

use super::{read::text, record::Record};
use crate::{error::StoreError, log::read::Store, redis::cluster::Topology};

/// The approximate number of keys of one SCAN.
const STEP: usize = 512;

/// What a key of Redis names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An LTM.
    Ltm(LtmId),
    /// Something else that a backup holds: one record, or none if it is gone or belongs to an LTM.
    Other(Record),
}

/// A scan over all keys. It can find a key twice.
pub struct KeyScan {
    store: Store,
    /// The owners of the slots when the scan began, in a cluster.
    topology: Option<Topology>,
    /// The servers that were not scanned yet, the current one last.
    primaries: Vec<Option<NodeAddress>>,
    position: u64,
    /// The process that gave this position. Another one, after a failover or a restart, has the keys in another order.
    run_id: String,
}

impl Store {
    /// Begins a scan over all keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn scan(&self) -> Result<KeyScan, StoreError> {
        let mut scan = KeyScan {
            store: self.clone(),
            topology: None,
            primaries: vec![None],
            position: 0,
            run_id: String::new(),
        };
        if self.redis.is_cluster() {
            scan.begin(self.redis.topology().await?);
        }
        Ok(scan)
    }

    /// The number of LTMs on all lists.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn number_of_ltms(&self) -> Result<u64, StoreError> {
        let mut sum = 0;
        for playground in [false, true] {
            let mut count = redis::cmd("ZLEXCOUNT");
            count.arg(keys::index(playground)).arg("-").arg("+");
            sum += self.redis.query::<u64>(&count).await?;
        }
        Ok(sum)
    }

    /// The records that belong to no LTM and to no key of their own: the revoked credentials, and the counter of ids.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn back_up_rest(&self) -> Result<Vec<Record>, StoreError> {
        let mut get = redis::cmd("HGETALL");
        let revocations = self.redis.query(get.arg(keys::REVOCATIONS)).await?;
        let ids: Option<u64> = self.redis.query(redis::cmd("GET").arg(keys::IDS)).await?;
        Ok(vec![
            Record::Revocations(revocations),
            Record::Ids(ids.unwrap_or_default()),
        ])
    }

    /// Reads the record of a key that names no LTM.
    async fn other(&self, name: &str) -> Result<Option<Record>, StoreError> {
        if let Some((id, "deleted")) = keys::part_of(name) {
            let value: Option<String> = self.redis.query(redis::cmd("GET").arg(name)).await?;
            let cursor = value.and_then(|cursor| cursor.parse::<Cursor>().ok());
            return Ok(cursor.map(|cursor| Record::Deleted { id, cursor }));
        }
        if let Some(key) = keys::key_of(name) {
            return self.other_key(name, &key).await;
        }
        match name.strip_prefix(keys::created("").as_str()) {
            Some(key) => self.creation(name, key).await,
            None => Ok(None),
        }
    }

    /// The record of a key, if its LTM does not hold it: a restore makes the others from their LTMs.
    async fn other_key(&self, name: &str, key: &LtmKey) -> Result<Option<Record>, StoreError> {
        let bound: Option<String> = self.redis.query(redis::cmd("GET").arg(name)).await?;
        let Some(id) = bound.and_then(|id| id.parse::<LtmId>().ok()) else {
            return Ok(None);
        };
        let is_deleted = match self.head(id).await {
            Err(StoreError::Deleted { .. }) => true,
            Ok(_) | Err(StoreError::Unknown(_) | StoreError::Damaged { .. }) => false,
            Err(error) => return Err(error),
        };
        Ok(is_deleted.then(|| Record::Key {
            fqn: key.fqn().to_owned(),
            key: key.key().to_owned(),
            id,
        }))
    }

    async fn creation(&self, name: &str, key: &str) -> Result<Option<Record>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(name);
        pipeline.cmd("PTTL").arg(name);
        let answers = self.redis.pipeline(&pipeline, 2).await?;
        let value = answers.first().and_then(text);
        let left = answers.get(1).and_then(|left| from_value::<i64>(left).ok());
        let (Some(value), Some(left @ 1..)) = (value, left) else {
            return Ok(None);
        };
        Ok(Some(Record::Creation {
            key: key.to_owned(),
            value,
            until: Timestamp::now().as_millisecond() + left,
        }))
    }
}

impl KeyScan {
    /// What the next keys name; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Rejected`] if the user may not scan keys.
    pub async fn next(&mut self) -> Result<Option<Vec<Found>>, StoreError> {
        let Some(names) = self.next_names().await? else {
            return Ok(None);
        };
        let mut found = Vec::new();
        for name in &names {
            match keys::part_of(name) {
                Some((id, "meta")) => found.push(Found::Ltm(id)),
                _ => found.extend(self.store.other(name).await?.map(Found::Other)),
            }
        }
        Ok(Some(found))
    }

    /// Begins with the first primary of a cluster.
    fn begin(&mut self, topology: Topology) {
        self.primaries = topology.primaries().iter().cloned().map(Some).collect();
        self.topology = Some(topology);
        self.position = 0;
    }

    /// The names of the next keys; `None` at the end.
    async fn next_names(&mut self) -> Result<Option<Vec<String>>, StoreError> {
        loop {
            let Some(primary) = self.primaries.last() else {
                if self.has_moved().await? {
                    continue;
                }
                return Ok(None);
            };
            let mut step = redis::pipe();
            let scan = step.cmd("SCAN").arg(self.position);
            scan.arg("MATCH").arg("ltm:*").arg("COUNT").arg(STEP);
            step.cmd("INFO").arg("server");
            let redis = &self.store.redis;
            let answers = redis.pipeline_on(primary.as_ref(), &step, 2).await?;
            let unexpected = || StoreError::Unexpected("the answer to SCAN cannot be read".into());
            let [scanned, info] = answers.as_slice() else {
                return Err(unexpected());
            };
            let run_id = run_id(&text(info).unwrap_or_default()).to_owned();
            if self.position != 0 && run_id != self.run_id {
                self.position = 0;
                continue;
            }
            let (next, names): (u64, Vec<String>) =
                from_value(scanned).map_err(|_| unexpected())?;
            (self.position, self.run_id) = (next, run_id);
            if next == 0 {
                self.primaries.pop();
            }
            return Ok(Some(names));
        }
    }

    /// Whether slots of a cluster have moved since the scan began. It then begins again.
    async fn has_moved(&mut self) -> Result<bool, StoreError> {
        let Some(before) = &self.topology else {
            return Ok(false);
        };
        let now = self.store.redis.topology().await?;
        let has_moved = !now.has_owners_of(before);
        if has_moved {
            self.begin(now);
        }
        Ok(has_moved)
    }
}

/// What names the process in an answer to INFO.
fn run_id(info: &str) -> &str {
    let mut lines = info.lines();
    let line = lines.find_map(|line| line.strip_prefix("run_id:"));
    line.unwrap_or_default().trim()
}
