//! Finds stray keys: keys that do not belong together after somebody deleted, renamed or restored some of them by
//! hand.

use ltm_types::{Cursor, LtmId, LtmKey, keys};
use redis::{Cmd, Value, cluster::NodeAddress, from_redis_value_ref as from_value};

use crate::{
    doctor::readiness::{Finding, Severity},
    error::StoreError,
    redis::client::Redis,
};

/// The approximate number of keys of one SCAN.
const STEP: usize = 512;
/// The keys of an LTM end in one of these.
const PARTS: [&str; 6] = ["log", "meta", "checkpoint", "base", "idem", "deleted"];

/// The stray keys of a Redis.
#[derive(Debug, Default)]
pub struct StrayKeys {
    /// The first of them.
    pub findings: Vec<Finding>,
    /// The number of all of them.
    pub count: u64,
    /// Whether, in a cluster, a server with a list is down, so that nobody can look up LTMs on their lists.
    lists_are_down: bool,
}

impl Redis {
    /// Checks every key under `ltm:`, a few hundred at a time, while Redis keeps serving. Returns the first `most`
    /// stray keys. Calls `seen` after each step with the number of keys that it has checked. A key that is written during
    /// the check does not count as stray.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Rejected`] if the user may not scan keys.
    pub async fn strays(
        &self,
        most: usize,
        mut seen: impl FnMut(u64),
    ) -> Result<StrayKeys, StoreError> {
        let (mut strays, mut checked) = (StrayKeys::default(), 0);
        for primary in self.primaries().await? {
            let primary = primary.as_ref();
            let mut count = |keys| {
                checked += keys;
                seen(checked);
            };
            match self.strays_of(primary, most, &mut strays, &mut count).await {
                Ok(()) => {}
                // In a cluster, the keys of the other servers are checked.
                Err(error @ StoreError::Unavailable(_)) if primary.is_some() => {
                    strays.count += 1;
                    let is = format!("not checked: {error}");
                    let advice = "run the check again once the server is back";
                    let finding = Finding::new("keys", Severity::Warning, is, advice);
                    let server = primary.map(ToString::to_string);
                    strays.findings.push(finding.of(server));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(strays)
    }

    /// Checks the keys of one server.
    async fn strays_of(
        &self,
        primary: Option<&NodeAddress>,
        most: usize,
        strays: &mut StrayKeys,
        seen: &mut impl FnMut(u64),
    ) -> Result<(), StoreError> {
        let mut scan_cursor = 0u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(scan_cursor)
                .arg("MATCH")
                .arg("ltm:*")
                .arg("COUNT")
                .arg(STEP);
            let (next, found): (u64, Vec<String>) = self.query_on(primary, &scan).await?;
            for key in &found {
                if let Some(finding) = self.stray(key, &mut strays.lists_are_down).await? {
                    strays.count += 1;
                    if strays.findings.len() < most {
                        strays.findings.push(finding);
                    }
                }
            }
            seen(found.len() as u64);
            scan_cursor = next;
            if scan_cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Checks one key.
    async fn stray(
        &self,
        key: &str,
        lists_are_down: &mut bool,
    ) -> Result<Option<Finding>, StoreError> {
        let wrong = match part_of(key) {
            None if is_known(key) => match keys::key_of(key) {
                Some(named) => self.wrong_record(key, &named).await?,
                None => None,
            },
            None => Some((
                "is not a key of the services",
                "find out which program wrote it; the services ignore it",
            )),
            Some((id, "meta")) => self.wrong_meta(id, lists_are_down).await?,
            Some((_, "deleted")) => None,
            Some((id, _)) => self.wrong_part(id, key).await?,
        };
        Ok(wrong.map(|(what, advice)| {
            Finding::new("keys", Severity::Warning, format!("{key} {what}"), advice)
        }))
    }

    /// Checks `meta` against the other keys of the LTM.
    async fn wrong_meta(
        &self,
        id: LtmId,
        lists_are_down: &mut bool,
    ) -> Result<Option<Wrong>, StoreError> {
        let found = self.keys_of(id).await?;
        // If the head changed in the meantime, the answers may not fit together.
        let Some(head) = found
            .head
            .filter(|head| found.head_after.as_ref() == Some(head))
        else {
            return Ok(None);
        };
        match found.last_entry.or(found.base) {
            None => Ok(Some((
                "has no log",
                "restore the log from a backup, or delete the LTM: ltm delete",
            ))),
            Some(last) if last != head => Ok(Some((
                "has another cursor than the last entry of its log",
                "`ltm verify` says where they differ",
            ))),
            Some(_) if is_ahead(found.checkpoint.as_deref(), &head) => Ok(Some((
                "has a checkpoint that is ahead of its log",
                "delete the checkpoint: the API makes a new one from the log",
            ))),
            Some(_) if *lists_are_down => Ok(None),
            Some(_) => match self
                .not_found_elsewhere(id, found.playground, &found.fqn, &found.key)
                .await
            {
                Err(StoreError::Unavailable(_)) if self.is_cluster() => {
                    *lists_are_down = true;
                    Ok(None)
                }
                outcome => outcome,
            },
        }
    }

    /// Checks that an LTM is on its lists, and that its key leads to it.
    async fn not_found_elsewhere(
        &self,
        id: LtmId,
        playground: bool,
        fqn: &str,
        key: &str,
    ) -> Result<Option<Wrong>, StoreError> {
        let unlisted = self.unlisted(id, playground, fqn).await?;
        if unlisted.is_some() || key.is_empty() {
            return Ok(unlisted);
        }
        let Ok(key) = LtmKey::new(fqn, key) else {
            return Ok(None);
        };
        let mut get = redis::cmd("GET");
        let bound: Option<String> = self.query(get.arg(keys::keyed(&key))).await?;
        if bound == Some(id.to_string()) || !self.exists(id).await? {
            return Ok(None);
        }
        Ok(Some((
            "has a key that does not lead to it",
            "restore the record: SET ltm:key:<bytes of its class>:<its class>:<its key> <its id>",
        )))
    }

    /// Checks that the record of a key does not lead to an LTM without this key. It may lead to none: the next creation
    /// with the key makes the LTM.
    async fn wrong_record(&self, record: &str, key: &LtmKey) -> Result<Option<Wrong>, StoreError> {
        let bound: Option<String> = self.query(redis::cmd("GET").arg(record)).await?;
        let Some(bound) = bound else {
            return Ok(None);
        };
        let Ok(id) = bound.parse() else {
            return Ok(Some((
                "is not the id of an LTM",
                "write the id of the LTM with this key, or delete the record",
            )));
        };
        let mut get = redis::cmd("HMGET");
        get.arg(keys::meta(id)).arg("fqn").arg("key");
        let found: (Option<String>, Option<String>) = match self.query(&get).await {
            Ok(found) => found,
            // The LTM is on a server that is down.
            Err(_) if self.is_cluster() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_right =
            found.0.as_deref() == Some(key.fqn()) && found.1.as_deref() == Some(key.key());
        Ok((found.0.is_some() && !is_right).then_some((
            "leads to an LTM without this key",
            "nothing is found under the key; the next creation with it corrects the record",
        )))
    }

    async fn exists(&self, id: LtmId) -> Result<bool, StoreError> {
        let mut exists = redis::cmd("EXISTS");
        Ok(self.query::<u64>(exists.arg(keys::meta(id))).await? > 0)
    }

    /// Reads what [`Redis::wrong_meta`] compares.
    async fn keys_of(&self, id: LtmId) -> Result<LtmKeys, StoreError> {
        let get = |key: String, field: &str| {
            let mut get = redis::cmd("HGET");
            get.arg(key).arg(field);
            get
        };
        let mut last = redis::cmd("XREVRANGE");
        last.arg(keys::log(id))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let commands = [
            get(keys::meta(id), "cursor"),
            last,
            get(keys::base(id), "cursor"),
            get(keys::checkpoint(id), "cursor"),
            get(keys::meta(id), "playground"),
            get(keys::meta(id), "fqn"),
            get(keys::meta(id), "key"),
            get(keys::meta(id), "cursor"),
        ];
        let answers = self.query_all(&commands).await?;
        let text = |at: usize| from_value::<Option<String>>(&answers[at]).ok().flatten();
        let entries: Vec<(String, Value)> = from_value(&answers[1]).unwrap_or_default();
        Ok(LtmKeys {
            head: text(0),
            last_entry: entries.into_iter().next().map(|(id, _)| id),
            base: text(2),
            checkpoint: text(3),
            playground: text(4).as_deref() == Some("1"),
            fqn: text(5).unwrap_or_default(),
            key: text(6).unwrap_or_default(),
            head_after: text(7),
        })
    }

    /// Checks that an LTM is on its lists.
    async fn unlisted(
        &self,
        id: LtmId,
        playground: bool,
        fqn: &str,
    ) -> Result<Option<Wrong>, StoreError> {
        let score = |index: &str| {
            let mut score = redis::cmd("ZSCORE");
            score.arg(index).arg(keys::index_member(id));
            score
        };
        let field = |key: &str, field: String| {
            let mut get = redis::cmd("HGET");
            get.arg(key).arg(field);
            get
        };
        let lists = [
            score(keys::index(playground)),
            score(&keys::class_index(playground, fqn)),
            field(keys::LIST_CHECK, "version".into()),
            field(keys::LIST_RECORDS, keys::index_member(id)),
        ];
        let answers = self.query_all(&lists).await?;
        let missing = answers[..2].contains(&Value::Nil);
        let unindexed = answers[2] != Value::Nil && answers[3] == Value::Nil;
        // It may have been deleted in the meantime.
        if !(missing || unindexed) || !self.exists(id).await? {
            return Ok(None);
        }
        if !missing {
            return Ok(Some((
                "is missing in the index of the lists",
                "the API adds it within api.list_check_interval; to build the index anew, delete ltm:{list}:check",
            )));
        }
        Ok(Some((
            "is missing on its lists",
            "add it: ZADD ltm:index 0 <its id in twenty digits>, and the same for ltm:index:fqn:<its class> (ltm:index:playground… for a copy)",
        )))
    }

    /// Checks that the LTM of a key exists. The keys of an unfinished copy expire, and do not count.
    async fn wrong_part(&self, id: LtmId, key: &str) -> Result<Option<Wrong>, StoreError> {
        let (mut meta, mut expires) = (redis::cmd("EXISTS"), redis::cmd("PTTL"));
        meta.arg(keys::meta(id));
        expires.arg(key);
        let answers = self.query_all(&[meta, expires]).await?;
        let number = |at: usize| from_value::<i64>(&answers[at]).unwrap_or_default();
        // PTTL is -1 for a key that exists and does not expire.
        let is_stray = number(0) == 0 && number(1) == -1;
        Ok(is_stray.then_some((
            "belongs to an LTM without `meta`",
            "restore `meta` from a backup, or delete this key",
        )))
    }

    async fn query_all(&self, commands: &[Cmd]) -> Result<Vec<Value>, StoreError> {
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.add_command(command.clone());
        }
        Ok(self.pipeline(&pipeline, commands.len()).await?)
    }
}

/// What is wrong, and what to do about it.
type Wrong = (&'static str, &'static str);

/// Fields of the keys of one LTM. The cursors are texts.
struct LtmKeys {
    /// The head in `meta`, read first.
    head: Option<String>,
    last_entry: Option<String>,
    base: Option<String>,
    checkpoint: Option<String>,
    playground: bool,
    fqn: String,
    /// Empty if it has none.
    key: String,
    /// The head in `meta`, read last.
    head_after: Option<String>,
}

fn is_ahead(checkpoint: Option<&str>, head: &str) -> bool {
    let seq = |text: &str| text.parse::<Cursor>().map(|cursor| cursor.seq);
    checkpoint.is_some_and(|at| matches!((seq(at), seq(head)), (Ok(at), Ok(head)) if at > head))
}

/// The LTM and the part that a key of the services belongs to.
fn part_of(key: &str) -> Option<(LtmId, &str)> {
    keys::part_of(key).filter(|(_, part)| PARTS.contains(part))
}

/// Whether a key is one that the services use and that belongs to no LTM.
fn is_known(key: &str) -> bool {
    let single = [
        keys::IDS,
        keys::MISSING,
        keys::RETAINED,
        keys::RETENTION_TURN,
        keys::REVOCATIONS,
        keys::LIST_TERMS,
        keys::LIST_RECORDS,
        keys::LIST_COUNTS,
        keys::LIST_MARKED,
        keys::LIST_UPDATED,
        keys::LIST_FIRST,
        keys::LIST_LAST,
        keys::LIST_CHECK,
        keys::LIST_TURN,
        keys::index(false),
        keys::index(true),
    ];
    let prefixes = [
        keys::class_index(false, ""),
        keys::class_index(true, ""),
        keys::created(""),
        keys::ticket(""),
    ];
    single.contains(&key)
        || keys::key_of(key).is_some()
        || prefixes
            .iter()
            .any(|prefix| key.starts_with(prefix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_services_is_known_and_others_are_not() {
        let id = LtmId::new(7).unwrap();
        for key in [
            keys::log(id),
            keys::meta(id),
            keys::checkpoint(id),
            keys::base(id),
            keys::idempotency(id),
            keys::deleted(id),
        ] {
            assert!(part_of(&key).is_some(), "{key}");
        }
        for key in [
            keys::IDS.into(),
            keys::class_index(true, "app.A"),
            keys::created("k"),
            keys::keyed(&LtmKey::new("app.A", "a:b").unwrap()),
            keys::ticket("h"),
            keys::RETAINED.into(),
            keys::REVOCATIONS.into(),
            keys::LIST_TERMS.into(),
        ] {
            assert!(part_of(&key).is_none() && is_known(&key), "{key}");
        }
        for key in [
            "ltm:{7}:logs",
            "ltm:{x}:log",
            "ltm:other",
            "ltm:key:9:app.A:b",
            "ltm:{7}:log:old",
        ] {
            assert!(part_of(key).is_none() && !is_known(key), "{key}");
        }
    }
}
