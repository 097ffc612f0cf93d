//! The lists of LTMs that are followed here, in all threads together.
//!
//! A list is read again and again while somebody follows it, once for all of them. Reading costs Redis the same whatever
//! is written, nothing has to be written for it, and what it shows is the truth at that moment, also after a failover that lost
//! something and on a cluster, where the LTMs of a list have no place in common. What changes twice between two reads is told once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::rt;
use bytes::Bytes;
use ltm_auth::Grant;
use ltm_service::{ListQuery, ProblemResponse, limit_reached};
use ltm_store::{Store, StoreError};
use ltm_types::Cursor;
use tokio::{
    sync::{self, watch},
    time::{Instant, sleep},
};

use crate::{GatewaySettings, end::End, message::frames, rows::Rows};

/// At most one part in this many of a process's time with Redis goes into reading lists.
const SHARE: u32 = 10;

/// The lists that are followed.
pub(crate) struct Lists {
    store: Store,
    interval: Duration,
    max_lists: usize,
    followed: Mutex<HashMap<ListKey, watch::Sender<Latest>>>,
    /// They are read one after the other.
    turn: sync::Mutex<()>,
}

/// Which list, for whom: callers that may read the same share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListKey {
    pub query: ListQuery,
    pub grant: Grant,
}

/// What is known of a list.
#[derive(Clone, Debug)]
pub(crate) enum Latest {
    /// It has not been read yet.
    Unread,
    /// It could not be read yet.
    Failed(ProblemResponse),
    /// This is what it showed when it was last read.
    Read(Arc<Step>),
}

/// What a list shows, and the message for those who know what it showed before.
#[derive(Debug)]
pub(crate) struct Step {
    pub rows: Rows,
    before: Option<Cursor>,
    frames: Bytes,
}

impl Step {
    fn new(rows: Rows, before: Option<&Rows>) -> Self {
        let frames = before.map(|before| frames(&rows.change(before)));
        Self {
            rows,
            before: before.map(|before| before.cursor),
            frames: frames.unwrap_or_default(),
        }
    }

    /// The frames that lead here from `known`.
    pub(crate) fn frames_from(&self, known: &Rows) -> Bytes {
        if self.before == Some(known.cursor) {
            return self.frames.clone();
        }
        frames(&self.rows.change(known))
    }
}

impl Lists {
    pub(crate) fn new(store: Store, settings: &GatewaySettings) -> Arc<Self> {
        Arc::new(Self {
            store,
            interval: settings.list_interval,
            max_lists: settings.max_lists,
            followed: Mutex::default(),
            turn: sync::Mutex::default(),
        })
    }

    /// Follows a list until what is given is dropped.
    ///
    /// # Errors
    ///
    /// [`End::OverLimit`] where as many lists as allowed are followed.
    pub(crate) fn follow(self: &Arc<Self>, key: ListKey) -> Result<watch::Receiver<Latest>, End> {
        let mut followed = self.followed();
        if let Some(list) = followed.get(&key) {
            return Ok(list.subscribe());
        }
        if followed.len() >= self.max_lists {
            limit_reached("gateway.max_lists");
            let text = "as many lists as allowed are followed here (gateway.max_lists)";
            return Err(End::OverLimit(text.into()));
        }
        let (latest, receiver) = watch::channel(Latest::Unread);
        followed.insert(key.clone(), latest.clone());
        let reader = Reader {
            lists: self.clone(),
            key,
            latest,
        };
        rt::spawn(reader.run());
        Ok(receiver)
    }

    /// How many are followed.
    pub(crate) fn count(&self) -> usize {
        self.followed().len()
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<ListKey, watch::Sender<Latest>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who reads one list as long as somebody follows it.
struct Reader {
    lists: Arc<Lists>,
    key: ListKey,
    latest: watch::Sender<Latest>,
}

impl Reader {
    async fn run(self) {
        let mut failing = false;
        loop {
            let began = Instant::now();
            match self.read().await {
                Ok(rows) => {
                    failing = false;
                    self.tell(rows);
                }
                Err(error) => {
                    if !failing {
                        failing = true;
                        tracing::warn!(list = ?self.key.query, %error, "a list cannot be read; it is tried again");
                    }
                    self.fail(error);
                }
            }
            let pause = self.lists.interval.max(began.elapsed() * (SHARE - 1));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.latest.closed() => {
                    let mut followed = self.lists.followed();
                    // Somebody may have come before the lock was taken.
                    if self.latest.is_closed() {
                        followed.remove(&self.key);
                        return;
                    }
                }
            }
        }
    }

    async fn read(&self) -> Result<Rows, StoreError> {
        let _turn = self.lists.turn.lock().await;
        let ListKey { query, grant } = &self.key;
        let page = self.lists.store.list(query.listing(), &grant.shown()).await;
        page.map(Rows::new)
    }

    fn tell(&self, rows: Rows) {
        let before = match &*self.latest.borrow() {
            Latest::Read(step) => Some(step.clone()),
            Latest::Unread | Latest::Failed(_) => None,
        };
        let before = before.as_ref().map(|step| &step.rows);
        if before.is_some_and(|before| before.cursor == rows.cursor) {
            return;
        }
        let step = Arc::new(Step::new(rows, before));
        self.latest.send_replace(Latest::Read(step));
    }

    /// Whoever has something keeps that: it is shown as live, and is as old as the last read.
    fn fail(&self, error: StoreError) {
        self.latest.send_if_modified(|latest| {
            if matches!(latest, Latest::Read(_)) {
                return false;
            }
            *latest = Latest::Failed(error.into());
            true
        });
    }
}

impl Drop for Reader {
    /// Where its thread ends, its followers find another one.
    fn drop(&mut self) {
        self.lists.followed().remove(&self.key);
    }
}
