//! Checks the index of the lists: builds it for the LTMs of an older version of the services, finishes what a process
//! that died has begun, and finds what an older version has written beside it.
//!
//! A check goes through both lists and through the index, a page at a time. Redis stores how far it is, so any process
//! can continue it. Two processes that check at once do no harm.

use std::time::Duration;

use jiff::Timestamp;
use ltm_types::{LtmId, keys};
use redis::Value;
use uuid::Uuid;

use crate::{
    error::StoreError,
    list::{index::id_of, told::Mark},
    log::read::Store,
};

/// The version of the index. A list uses the index only if it is complete in this version.
pub(crate) const VERSION: &str = "1";
/// How many LTMs one step checks.
const STEP: usize = 256;
/// How many of the newest LTMs are checked each time.
const NEWEST: usize = 64;
/// How old a mark must be until the check looks at it: much older than a write takes.
const MARKED_FOR: Duration = Duration::from_secs(60);

/// What is left of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListCheck {
    /// Nothing at the moment.
    Done,
    /// The index is complete, and its check continues.
    Continues,
    /// The index is not complete yet.
    Builds,
}

/// Where a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// In a list: of the playground or not, and before this LTM.
    List(bool, Option<LtmId>),
    /// In the records of the index: a cursor of HSCAN.
    Records(u64),
    End,
}

impl Position {
    const START: Self = Self::List(false, None);

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        match (words.next()?, words.next()?) {
            ("list", before) => Some(Self::List(false, before.parse().ok())),
            ("playground", before) => Some(Self::List(true, before.parse().ok())),
            ("records", cursor) => Some(Self::Records(cursor.parse().ok()?)),
            _ => None,
        }
    }

    fn text(self) -> Option<String> {
        let before = |before: Option<LtmId>| before.map_or(0, LtmId::get);
        match self {
            Self::List(false, at) => Some(format!("list {}", before(at))),
            Self::List(true, at) => Some(format!("playground {}", before(at))),
            Self::Records(cursor) => Some(format!("records {cursor}")),
            Self::End => None,
        }
    }
}

impl Store {
    /// Takes the turn to check the index. Only one process gets it, and then none for the duration of `pause`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn take_list_turn(&self, pause: Duration) -> Result<bool, StoreError> {
        let holder = Uuid::new_v4().to_string();
        Ok(self.redis.lend(keys::LIST_TURN, &holder, pause).await?)
    }

    /// Brings the LTMs up to date whose writer did not, and the newest ones, which an older version of the services may
    /// have created.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn check_recent(&self) -> Result<(), StoreError> {
        let until = Timestamp::now().as_microsecond() - MARKED_FOR.as_micros() as i64;
        let mut marked = redis::cmd("ZRANGEBYSCORE");
        marked.arg(keys::LIST_MARKED).arg("-inf").arg(until);
        marked.arg("WITHSCORES").arg("LIMIT").arg(0).arg(STEP);
        let marked: Vec<(String, f64)> = self.redis.query(&marked).await?;
        // A double represents microseconds since 1970 exactly.
        let mark =
            |(member, time): &(String, f64)| Some((id_of(member)?, Some(Mark(*time as i64))));
        let marked: Vec<_> = marked.iter().filter_map(mark).collect();
        if !marked.is_empty() {
            let count = marked.len();
            tracing::info!(
                count,
                "brought marked LTMs up to date in the index of the lists"
            );
        }
        self.index_all(&marked).await?;
        for playground in [false, true] {
            let ids = self
                .index_page(keys::index(playground), NEWEST, None)
                .await?;
            self.index_all(&unmarked(&ids)).await?;
        }
        Ok(())
    }

    /// Does the next step of a check, if the last one ended longer than `every` ago.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn check_lists(&self, every: Duration) -> Result<ListCheck, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::LIST_CHECK);
        get.arg("version").arg("position").arg("ended").arg("lacks");
        let (version, position, ended, lacks): (
            Option<String>,
            Option<String>,
            Option<i64>,
            Option<u8>,
        ) = self.redis.query(&get).await?;
        let is_built = version.as_deref() == Some(VERSION);
        let position = match position.as_deref().and_then(Position::read) {
            Some(position) => position,
            None if is_built && ended.is_some_and(|ended| is_recent(ended, every)) => {
                return Ok(ListCheck::Done);
            }
            None if is_built => Position::START,
            None => {
                self.clear_index().await?;
                Position::START
            }
        };
        let (next, is_whole) = self.check_at(position).await?;
        let lacks = lacks.is_some() || !is_whole;
        self.store_position(next, lacks).await?;
        Ok(match next {
            Position::End => ListCheck::Done,
            _ if is_built => ListCheck::Continues,
            _ => ListCheck::Builds,
        })
    }

    /// Checks one page. Returns the next position, and whether every LTM could be read.
    async fn check_at(&self, position: Position) -> Result<(Position, bool), StoreError> {
        match position {
            Position::List(playground, before) => {
                let ids = self
                    .index_page(keys::index(playground), STEP, before)
                    .await?;
                let is_whole = self.index_all(&unmarked(&ids)).await?;
                let next = match ids.last() {
                    Some(last) if ids.len() == STEP => Position::List(playground, Some(*last)),
                    _ if playground => Position::Records(0),
                    _ => Position::List(true, None),
                };
                Ok((next, is_whole))
            }
            Position::Records(cursor) => {
                let mut scan = redis::cmd("HSCAN");
                scan.arg(keys::LIST_RECORDS)
                    .arg(cursor)
                    .arg("COUNT")
                    .arg(STEP);
                let (next, records): (u64, Vec<(String, String)>) = self.redis.query(&scan).await?;
                let ids = records.iter().filter_map(|(member, _)| id_of(member));
                let is_whole = self.index_all(&unmarked(&ids.collect::<Vec<_>>())).await?;
                let end = if next == 0 {
                    Position::End
                } else {
                    Position::Records(next)
                };
                Ok((end, is_whole))
            }
            Position::End => Ok((Position::End, true)),
        }
    }

    /// Stores where the check is. At the end the index is complete, unless LTMs could not be read.
    async fn store_position(&self, position: Position, lacks: bool) -> Result<(), StoreError> {
        let mut set = redis::cmd("HSET");
        set.arg(keys::LIST_CHECK);
        let mut remove = redis::cmd("HDEL");
        remove.arg(keys::LIST_CHECK);
        match position.text() {
            Some(text) => {
                set.arg("position").arg(text);
                if lacks {
                    set.arg("lacks").arg(1);
                }
            }
            None => {
                set.arg("ended").arg(Timestamp::now().as_millisecond());
                if lacks {
                    // The next check begins at once.
                    set.arg("position").arg(Position::START.text());
                    remove.arg("lacks");
                } else {
                    set.arg("version").arg(VERSION);
                    remove.arg("position").arg("lacks");
                }
            }
        }
        self.redis.query::<Value>(&set).await?;
        if position == Position::End {
            self.redis.query::<Value>(&remove).await?;
        }
        Ok(())
    }

    /// Removes an index that is incomplete, or of another version. The marks stay.
    async fn clear_index(&self) -> Result<(), StoreError> {
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(keys::LIST_TERMS).arg(keys::LIST_RECORDS);
        unlink.arg(keys::LIST_COUNTS).arg(keys::LIST_UPDATED);
        unlink.arg(keys::LIST_FIRST).arg(keys::LIST_LAST);
        self.redis.query::<Value>(&unlink).await?;
        Ok(())
    }
}

fn unmarked(ids: &[LtmId]) -> Vec<(LtmId, Option<Mark>)> {
    ids.iter().map(|id| (*id, None)).collect()
}

fn is_recent(ended: i64, every: Duration) -> bool {
    let age = Timestamp::now().as_millisecond().saturating_sub(ended);
    u128::try_from(age).is_ok_and(|age| age < every.as_millis())
}
