//! How many LTMs there are, by status and class.

use std::collections::{BTreeMap, HashMap};

use ltm_types::{LtmId, keys};
use redis::from_redis_value_ref as from_value;
use serde::{Serialize, Serializer};

use crate::{
    error::StoreError,
    list::{check::VERSION, terms},
    log::{list::Found, read::Store},
};

/// The most statuses, and the most classes, that are counted one by one in an answer.
const MAX_SHOWN: usize = 100;

/// How many LTMs there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListCounts {
    /// All of them.
    pub total: u64,
    /// The LTMs with each status, the most frequent first.
    #[serde(serialize_with = "as_map")]
    pub status: Vec<(String, u64)>,
    /// The LTMs of each class, the largest first.
    #[serde(serialize_with = "as_map")]
    pub fqn: Vec<(String, u64)>,
    /// Whether LTMs are missing here, because the index is not complete.
    #[serde(skip)]
    pub is_incomplete: bool,
}

fn as_map<S: Serializer>(counts: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(name, count)| (name, count)))
}

/// Counts while they are added up.
#[derive(Default)]
struct Sums {
    total: u64,
    status: HashMap<String, u64>,
    fqn: HashMap<String, u64>,
}

impl Sums {
    fn add(&mut self, class: &str, status: &str, count: u64) {
        self.total += count;
        *self.fqn.entry(class.into()).or_default() += count;
        if !status.is_empty() {
            *self.status.entry(status.into()).or_default() += count;
        }
    }
}

impl Store {
    /// Counts the LTMs of a list: those of the classes for which `covers` is true, and those with these ids.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn counts(
        &self,
        playground: bool,
        covers: impl Fn(&str) -> bool,
        named: &[LtmId],
    ) -> Result<ListCounts, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGET").arg(keys::LIST_CHECK).arg("version");
        pipeline.cmd("HGETALL").arg(keys::LIST_COUNTS);
        let answers = self.redis.pipeline(&pipeline, 2).await?;
        let version = answers
            .first()
            .and_then(|it| from_value::<Option<String>>(it).ok());
        let counted = answers.get(1).and_then(|it| from_value(it).ok());
        let counted: BTreeMap<String, i64> = counted.unwrap_or_default();
        let mut sums = Sums::default();
        let mut is_incomplete = version.flatten().as_deref() != Some(VERSION);
        for (counted, count) in &counted {
            is_incomplete |= counted == "?";
            if let Some((class, status)) = terms::read_counted(counted, playground)
                && covers(class)
            {
                sums.add(class, status, u64::try_from(*count).unwrap_or_default());
            }
        }
        for found in self.listed(named).await? {
            match found {
                Found::Ltm(ltm) if ltm.playground == playground && !covers(&ltm.row.fqn) => {
                    sums.add(
                        &ltm.row.fqn,
                        ltm.row.status.as_deref().unwrap_or_default(),
                        1,
                    );
                }
                Found::Unavailable => is_incomplete = true,
                _ => {}
            }
        }
        Ok(ListCounts {
            total: sums.total,
            status: sorted(sums.status),
            fqn: sorted(sums.fqn),
            is_incomplete,
        })
    }
}

impl ListCounts {
    /// Keeps the 100 most frequent statuses and the 100 largest classes: an answer has a bound.
    #[must_use]
    pub fn largest(mut self) -> Self {
        self.is_incomplete |= self.status.len().max(self.fqn.len()) > MAX_SHOWN;
        self.status.truncate(MAX_SHOWN);
        self.fqn.truncate(MAX_SHOWN);
        self
    }
}

/// These counts, the largest first.
fn sorted(counts: HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}
