//! The lists of LTMs that the gateway's subscribers follow, in all threads together.
//!
//! While a list has a subscriber, one task reads it from Redis at an interval, for all its subscribers. So a
//! list costs Redis the same however much is written, and an append pays nothing for it. What a list shows is
//! correct even after a failover that lost entries, and on a cluster, where the LTMs of a list lie on several
//! servers. Two changes between two reads become one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ltm_auth::Grant;
use ltm_service::{LimitsHit, ListQuery, Tasks};
use ltm_store::{Store, StoreError};
use ltm_types::Cursor;
use tokio::{
    sync::{self, watch},
    time::{Instant, sleep},
};

use crate::{
    fanout::frames::Frames,
    list::{
        page::ListPage,
        shares::{CallerShares, Share},
    },
    settings::GatewaySettings,
    subscriber::close::CloseCause,
};

/// Reading a list takes at most this fraction (one in ten) of the time: a list that is slow to read is read
/// less often.
const SHARE: u32 = 10;

/// The lists that have subscribers.
pub(crate) struct ListFeeds {
    store: Store,
    tasks: Tasks,
    interval: Duration,
    max_lists: usize,
    shares: CallerShares<ListKey>,
    followed: Mutex<HashMap<ListKey, watch::Sender<Latest>>>,
    /// The lists are read one after the other.
    turn: sync::Mutex<()>,
    limits: LimitsHit,
}

/// Which list, and for whom: callers with the same grant share it.
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
    /// The first read failed.
    Failed(Arc<StoreError>),
    /// What the last read returned.
    Read(Arc<ListUpdate>),
}

/// What a list shows, and the message for subscribers that know what it showed before.
#[derive(Debug)]
pub(crate) struct ListUpdate {
    pub page: ListPage,
    before: Option<Cursor>,
    frames: Frames,
}

impl ListUpdate {
    fn new(page: ListPage, before: Option<&ListPage>) -> Self {
        let frames = before.map(|before| Frames::plain(&page.change(before)));
        Self {
            page,
            before: before.map(|before| before.cursor),
            frames: frames.unwrap_or_default(),
        }
    }

    /// The frames that lead from `known` to this page.
    pub(crate) fn frames_from(&self, known: &ListPage) -> Frames {
        if self.before == Some(known.cursor) {
            return self.frames.clone();
        }
        Frames::plain(&self.page.change(known))
    }
}

impl ListFeeds {
    pub(crate) fn new(
        store: Store,
        tasks: Tasks,
        settings: &GatewaySettings,
        limits: LimitsHit,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            tasks,
            interval: settings.list_interval,
            max_lists: settings.max_lists,
            shares: CallerShares::new(settings.max_lists_per_caller, limits.clone()),
            followed: Mutex::default(),
            turn: sync::Mutex::default(),
            limits,
        })
    }

    /// Lets a caller follow a list until the share is dropped; `None` if nobody knows who the caller is.
    ///
    /// # Errors
    ///
    /// [`CloseCause::OverLimit`] if the caller follows as many lists as one may.
    pub(crate) fn share(
        &self,
        caller: Option<String>,
        key: &ListKey,
    ) -> Result<Option<Share<ListKey>>, CloseCause> {
        let share = |caller| self.shares.take(caller, key.clone());
        caller.map(share).transpose()
    }

    /// Follows a list until the receiver is dropped.
    ///
    /// # Errors
    ///
    /// [`CloseCause::OverLimit`] if as many lists have subscribers as the settings allow.
    pub(crate) fn follow(
        self: &Arc<Self>,
        key: ListKey,
    ) -> Result<watch::Receiver<Latest>, CloseCause> {
        let mut followed = self.followed();
        if let Some(latest) = followed.get(&key) {
            return Ok(latest.subscribe());
        }
        if followed.len() >= self.max_lists {
            self.limits.hit("gateway.max_lists");
            let text = format!(
                "{} lists have subscribers on this gateway (gateway.max_lists)",
                self.max_lists
            );
            return Err(CloseCause::OverLimit(text));
        }
        let (latest, receiver) = watch::channel(Latest::Unread);
        followed.insert(key.clone(), latest.clone());
        let reader = ListReader {
            feeds: self.clone(),
            key,
            latest,
        };
        self.tasks.spawn_local("list reader", reader.run());
        Ok(receiver)
    }

    /// How many lists have subscribers.
    pub(crate) fn count(&self) -> usize {
        self.followed().len()
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<ListKey, watch::Sender<Latest>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads one list while it has a subscriber.
struct ListReader {
    feeds: Arc<ListFeeds>,
    key: ListKey,
    latest: watch::Sender<Latest>,
}

impl ListReader {
    async fn run(self) {
        let mut failing = false;
        loop {
            let start = Instant::now();
            match self.read().await {
                Ok(page) => {
                    failing = false;
                    self.publish(page);
                }
                Err(error) => {
                    if !failing {
                        failing = true;
                        tracing::warn!(list = ?self.key.query, %error, "cannot read a list; retrying");
                    }
                    self.fail(error);
                }
            }
            let pause = self.feeds.interval.max(start.elapsed() * (SHARE - 1));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.latest.closed() => {
                    let mut followed = self.feeds.followed();
                    // A subscriber may have come before the lock was acquired.
                    if self.latest.is_closed() {
                        followed.remove(&self.key);
                        return;
                    }
                }
            }
        }
    }

    async fn read(&self) -> Result<ListPage, StoreError> {
        let _turn = self.feeds.turn.lock().await;
        let ListKey { query, grant } = &self.key;
        let page = self.feeds.store.list(query.listing(), &grant.shown()).await;
        let before = self.published();
        Ok(ListPage::new(page?, before.as_ref().map(|it| &it.page)))
    }

    /// What the last read returned.
    fn published(&self) -> Option<Arc<ListUpdate>> {
        match &*self.latest.borrow() {
            Latest::Read(update) => Some(update.clone()),
            Latest::Unread | Latest::Failed(_) => None,
        }
    }

    fn publish(&self, page: ListPage) {
        let before = self.published();
        let before = before.as_ref().map(|update| &update.page);
        if before.is_some_and(|before| before.cursor == page.cursor) {
            return;
        }
        let update = Arc::new(ListUpdate::new(page, before));
        self.latest.send_replace(Latest::Read(update));
    }

    /// Reports a failure to subscribers that wait for the first read. The others keep what they have, which
    /// is as old as the last read that succeeded.
    fn fail(&self, error: StoreError) {
        self.latest.send_if_modified(|latest| {
            if matches!(latest, Latest::Read(_)) {
                return false;
            }
            *latest = Latest::Failed(Arc::new(error));
            true
        });
    }
}

impl Drop for ListReader {
    /// Runs also when the reader's thread ends or the reader panics: its subscribers are closed with 1012,
    /// and the next subscriber starts another reader.
    fn drop(&mut self) {
        let mut followed = self.feeds.followed();
        // Another reader may have taken the place of this one.
        if followed
            .get(&self.key)
            .is_some_and(|it| it.same_channel(&self.latest))
        {
            followed.remove(&self.key);
        }
    }
}
