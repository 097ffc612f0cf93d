//! Keys that do not belong together: what is left where somebody deleted, renamed or restored single keys by hand.

use ltm_types::{Cursor, LtmId, keys};
use redis::{Cmd, Value, cluster::NodeAddress, from_redis_value_ref as from_value};

use crate::{
    doctor::readiness::{Finding, Severity},
    error::StoreError,
    redis::connection::Redis,
};

/// How many keys one step looks at, about.
const STEP: usize = 512;
/// The parts of an LTM, by the ends of their keys.
const PARTS: [&str; 6] = ["log", "meta", "checkpoint", "base", "idem", "deleted"];

/// What was found among all keys.
#[derive(Debug, Default)]
pub struct StrayKeys {
    /// The first ones.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub count: u64,
}

impl Redis {
    /// Looks at every key of the services, some hundred at a time; Redis goes on meanwhile. Keeps the first `most` that do
    /// not belong; `seen` is told after each step how many keys have been looked at. What is being written meanwhile is
    /// not taken for a stray.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Rejected`] if the user may not scan keys.
    pub async fn strays(
        &self,
        most: usize,
        mut seen: impl FnMut(u64),
    ) -> Result<StrayKeys, StoreError> {
        let (mut strays, mut looked_at) = (StrayKeys::default(), 0);
        for primary in self.primaries().await? {
            self.strays_of(primary.as_ref(), most, &mut strays, &mut |keys| {
                looked_at += keys;
                seen(looked_at);
            })
            .await?;
        }
        Ok(strays)
    }

    /// The same for the keys of one server.
    async fn strays_of(
        &self,
        primary: Option<&NodeAddress>,
        most: usize,
        strays: &mut StrayKeys,
        seen: &mut impl FnMut(u64),
    ) -> Result<(), StoreError> {
        let mut place = 0u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(place)
                .arg("MATCH")
                .arg("ltm:*")
                .arg("COUNT")
                .arg(STEP);
            let (next, found): (u64, Vec<String>) = self.query_of(primary, &scan).await?;
            for key in &found {
                if let Some(finding) = self.stray(key).await? {
                    strays.count += 1;
                    if strays.findings.len() < most {
                        strays.findings.push(finding);
                    }
                }
            }
            seen(found.len() as u64);
            place = next;
            if place == 0 {
                return Ok(());
            }
        }
    }

    /// What is wrong with a key, if anything is.
    async fn stray(&self, key: &str) -> Result<Option<Finding>, StoreError> {
        let Some((id, part)) = part_of(key) else {
            return Ok((!is_known(key)).then(|| {
                stray(
                    key,
                    "is no key of the services",
                    "see who wrote it; it is in the way of nobody",
                )
            }));
        };
        let found = match part {
            "meta" => self.wrong_meta(id).await?,
            "deleted" => None,
            _ => self.wrong_part(id, key).await?,
        };
        Ok(found.map(|(what, advice)| stray(key, what, advice)))
    }

    async fn wrong_meta(&self, id: LtmId) -> Result<Option<Wrong>, StoreError> {
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
        // Before and after: somebody may write meanwhile.
        let questions = [
            get(keys::meta(id), "cursor"),
            last,
            get(keys::base(id), "cursor"),
            get(keys::checkpoint(id), "cursor"),
            get(keys::meta(id), "playground"),
            get(keys::meta(id), "fqn"),
            get(keys::meta(id), "cursor"),
        ];
        let answers = self.ask(&questions).await?;
        let text = |at: usize| from_value::<Option<String>>(&answers[at]).ok().flatten();
        let (Some(before), Some(after)) = (text(0), text(6)) else {
            return Ok(None);
        };
        let entries: Vec<(String, Value)> = from_value(&answers[1]).unwrap_or_default();
        let head = entries
            .into_iter()
            .next()
            .map(|(id, _)| id)
            .or_else(|| text(2));
        let wrong = match head {
            _ if before != after => None,
            None => Some((
                "has no log",
                "restore it from a backup, or delete the LTM: ltm delete",
            )),
            Some(head) if head != before => Some((
                "has another cursor than its log's last entry",
                "`ltm verify` says where they part",
            )),
            Some(_) if is_ahead(text(3), &before) => Some((
                "has a checkpoint that is ahead of its log",
                "delete the checkpoint: the next one is made from the log",
            )),
            Some(_) => {
                let playground = text(4).as_deref() == Some("1");
                self.unlisted(id, playground, &text(5).unwrap_or_default())
                    .await?
            }
        };
        Ok(wrong)
    }

    /// An LTM that is not on its lists.
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
        let lists = [
            score(keys::index(playground)),
            score(&keys::class_index(playground, fqn)),
        ];
        let answers = self.ask(&lists).await?;
        let missing = answers.contains(&Value::Nil);
        let mut exists = redis::cmd("EXISTS");
        exists.arg(keys::meta(id));
        // It may have been deleted while it was looked at.
        if !missing || self.query::<u64>(&exists).await? == 0 {
            return Ok(None);
        }
        Ok(Some((
            "is not on its lists",
            "put it there: ZADD ltm:index 0 <its id in twenty digits>, and the same for ltm:index:fqn:<its class> (ltm:index:playground… for a copy)",
        )))
    }

    /// A log or what goes with it whose LTM is not there. What is written aside, for a copy, expires.
    async fn wrong_part(&self, id: LtmId, key: &str) -> Result<Option<Wrong>, StoreError> {
        let (mut meta, mut expires) = (redis::cmd("EXISTS"), redis::cmd("PTTL"));
        meta.arg(keys::meta(id));
        expires.arg(key);
        let answers = self.ask(&[meta, expires]).await?;
        let number = |at: usize| from_value::<i64>(&answers[at]).unwrap_or_default();
        // -1: it is there, and does not expire.
        let alone = number(0) == 0 && number(1) == -1;
        Ok(alone.then_some((
            "belongs to an LTM without `meta`",
            "restore that from a backup, or delete the key",
        )))
    }

    async fn ask(&self, questions: &[Cmd]) -> Result<Vec<Value>, StoreError> {
        let mut pipeline = redis::pipe();
        for question in questions {
            pipeline.add_command(question.clone());
        }
        Ok(self.pipeline(&pipeline, questions.len()).await?)
    }
}

/// What is wrong, and what to do about it.
type Wrong = (&'static str, &'static str);

fn stray(key: &str, what: &str, advice: &'static str) -> Finding {
    Finding::new("keys", Severity::Warning, format!("{key} {what}"), advice)
}

fn is_ahead(checkpoint: Option<String>, head: &str) -> bool {
    let seq = |text: &str| text.parse::<Cursor>().map(|cursor| cursor.seq);
    checkpoint.is_some_and(|at| matches!((seq(&at), seq(head)), (Ok(at), Ok(head)) if at > head))
}

/// The LTM and the part that a key is.
fn part_of(key: &str) -> Option<(LtmId, &str)> {
    let (id, part) = key.strip_prefix("ltm:{")?.split_once("}:")?;
    PARTS.contains(&part).then_some((id.parse().ok()?, part))
}

/// Whether it is one of the keys that belong to no LTM.
fn is_known(key: &str) -> bool {
    let single = [
        keys::IDS,
        keys::MISSING,
        keys::RETAINED,
        keys::RETENTION_TURN,
        keys::index(false),
        keys::index(true),
    ];
    let begins = [
        keys::class_index(false, ""),
        keys::class_index(true, ""),
        keys::created(""),
        keys::ticket(""),
    ];
    single.contains(&key) || begins.iter().any(|begin| key.starts_with(begin.as_str()))
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
            keys::ticket("h"),
            keys::RETAINED.into(),
        ] {
            assert!(part_of(&key).is_none() && is_known(&key), "{key}");
        }
        for key in [
            "ltm:{7}:logs",
            "ltm:{x}:log",
            "ltm:other",
            "ltm:{7}:log:old",
        ] {
            assert!(part_of(key).is_none() && !is_known(key), "{key}");
        }
    }
}
