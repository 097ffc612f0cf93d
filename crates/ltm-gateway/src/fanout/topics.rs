//! The LTMs that one thread follows. Each has one subscription in Redis, whatever its number of subscribers.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ltm_service::Tasks;
use ltm_store::{Live, Read, Store, StoreError, WindowBounds, reconnect_pauses};
use ltm_types::{Cursor, LtmId};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::{
    fanout::{backlog::page_bounds, entry_message::is_next, run_queue::RunQueue, topic::Topic},
    gateway::Gateway,
    metrics::GatewayMetrics,
    settings::bytes,
    subscriber::{
        close::CloseCause,
        per_ltm_limit::{PerLtmLimit, PerLtmPermit},
    },
};

/// How many heads one round trip to Redis reads.
const BATCH: usize = 512;

/// The LTMs that a thread follows.
pub(crate) struct Topics {
    store: Store,
    live: Live,
    entries: RefCell<HashMap<LtmId, Followed>>,
    limit: Arc<PerLtmLimit>,
    run_queue: Rc<RunQueue>,
    tasks: Tasks,
    metrics: GatewayMetrics,
    /// Whether the thread's fan-out has ended, so that nothing is delivered live any more.
    failed: Cell<bool>,
    max_followed: usize,
    linger: Duration,
    sweep_interval: Duration,
    window: usize,
    batch: usize,
    page: WindowBounds,
}

struct Followed {
    topic: Rc<Topic>,
    subscribers: usize,
    /// Since when the LTM has had no subscriber.
    idle_since: Instant,
}

/// One subscriber's use of a topic. While it exists, the thread follows the LTM.
pub(crate) struct TopicHandle {
    topics: Rc<Topics>,
    pub topic: Rc<Topic>,
    _permit: PerLtmPermit,
}

impl Topics {
    pub(crate) fn new(gateway: &Gateway, live: Live, run_queue: Rc<RunQueue>) -> Rc<Self> {
        let settings = gateway.settings();
        Rc::new(Self {
            store: gateway.store().clone(),
            live,
            entries: RefCell::default(),
            limit: gateway.per_ltm_limit().clone(),
            run_queue,
            tasks: gateway.tasks().clone(),
            metrics: gateway.metrics().clone(),
            failed: Cell::new(false),
            max_followed: settings.max_followed,
            linger: settings.linger,
            sweep_interval: settings.sweep_interval,
            window: bytes(settings.window),
            batch: bytes(settings.queue),
            page: page_bounds(settings),
        })
    }

    pub(crate) fn metrics(&self) -> &GatewayMetrics {
        &self.metrics
    }

    /// Follows the LTM for one more subscriber.
    ///
    /// # Errors
    ///
    /// [`CloseCause::OverLimit`] if the gateway follows as many LTMs as it may, or the LTM has as many
    /// subscribers as it may; [`CloseCause::Restarting`] if the thread's fan-out has failed.
    pub(crate) fn follow(self: &Rc<Self>, id: LtmId) -> Result<TopicHandle, CloseCause> {
        if self.failed.get() {
            return Err(CloseCause::Restarting);
        }
        let permit = self.limit.acquire(id)?;
        let mut entries = self.entries();
        if !entries.contains_key(&id) && entries.len() >= self.max_followed {
            // LTMs that linger without a subscriber make room.
            self.let_go(&mut entries, Duration::ZERO);
        }
        let followed = entries.entry(id).or_insert_with(|| {
            self.live.follow(id);
            Followed {
                topic: Topic::new(id, self.window, self.batch, self.metrics.clone()),
                subscribers: 0,
                idle_since: Instant::now(),
            }
        });
        followed.subscribers += 1;
        Ok(TopicHandle {
            topics: self.clone(),
            topic: followed.topic.clone(),
            _permit: permit,
        })
    }

    /// Ends all subscriptions of the thread with [`CloseCause::Restarting`], and refuses new ones. The
    /// subscribers resume elsewhere with their cursors.
    pub(crate) fn fail(&self) {
        self.failed.set(true);
        for followed in self.entries().values() {
            followed.topic.release_all();
        }
    }

    /// Periodically compares every followed log with Redis, and lets go of LTMs without subscribers and of
    /// entries that no subscriber needs.
    pub(crate) async fn sweep(self: Rc<Self>) {
        let mut ticks = interval(
            self.linger
                .min(self.sweep_interval)
                .max(Duration::from_millis(100)),
        );
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut swept = Instant::now();
        loop {
            ticks.tick().await;
            self.let_go(&mut self.entries(), self.linger);
            if swept.elapsed() >= self.sweep_interval {
                swept = Instant::now();
                for followed in self.entries().values() {
                    followed.topic.age();
                }
                self.refresh_soon(self.ids());
            }
        }
    }

    /// Drops the topics that have had no subscriber for `idle`.
    fn let_go(&self, entries: &mut HashMap<LtmId, Followed>, idle: Duration) {
        entries.retain(|&id, followed| {
            let keep = followed.subscribers > 0 || followed.idle_since.elapsed() < idle;
            if !keep {
                self.live.unfollow(id);
            }
            keep
        });
    }

    /// Compares these logs with Redis in a task of its own, and retries until that succeeds. It leaves out
    /// logs for which such a comparison is already due.
    pub(crate) fn refresh_soon(self: &Rc<Self>, ids: Vec<LtmId>) {
        let mut due = self.note_refresh(ids);
        if due.is_empty() {
            return;
        }
        let topics = self.clone();
        self.tasks.spawn_local("refresh", async move {
            let mut pauses = reconnect_pauses();
            loop {
                let failed = topics.refresh(&due).await;
                due = topics.note_refresh(failed);
                if due.is_empty() {
                    return;
                }
                sleep(pauses.next().unwrap_or_default()).await;
            }
        });
    }

    /// Those of these LTMs that the thread follows and for which no comparison is due yet.
    fn note_refresh(&self, ids: Vec<LtmId>) -> Vec<LtmId> {
        ids.into_iter()
            .filter(|&id| self.topic(id).is_some_and(|topic| topic.note_refresh()))
            .collect()
    }

    /// Brings the topics of these LTMs to the heads of their logs; returns those for which that failed.
    async fn refresh(&self, ids: &[LtmId]) -> Vec<LtmId> {
        let mut failed = Vec::new();
        for batch in ids.chunks(BATCH) {
            let topics: Vec<Rc<Topic>> = batch.iter().filter_map(|&id| self.topic(id)).collect();
            for topic in &topics {
                topic.begin_refresh();
            }
            let known: Vec<Option<Cursor>> =
                topics.iter().map(|topic| topic.head().cursor).collect();
            let ids: Vec<LtmId> = topics.iter().map(|topic| topic.id).collect();
            let heads = match self.store.heads(&ids).await {
                Ok(heads) => heads,
                Err(error) => {
                    tracing::warn!(%error, logs = ids.len(), "cannot compare logs with Redis; retrying");
                    failed.extend(ids);
                    continue;
                }
            };
            for ((topic, from), to) in topics.iter().zip(known).zip(heads) {
                let caught_up = match to {
                    // Its subscribers may not know yet that the LTM is gone: the log tells each of them.
                    Ok(None) => Ok(topic.restart(from, None, true)),
                    Ok(to) if from == to => Ok(false),
                    Ok(to) => self.catch_up(topic, from, to).await,
                    Err(error) => Err(error),
                };
                match caught_up {
                    Ok(true) => self.run_queue.push(topic.clone()),
                    Ok(false) => {}
                    Err(error @ StoreError::Damaged { .. }) => {
                        tracing::error!(id = %topic.id, %error, "a log is damaged; run `ltm verify` on it");
                    }
                    Err(error) => {
                        tracing::warn!(id = %topic.id, %error, "cannot read a log; retrying");
                        failed.push(topic.id);
                    }
                }
            }
        }
        failed
    }

    /// Brings one topic from where it was to the head of its log; returns whether it has news.
    async fn catch_up(
        &self,
        topic: &Topic,
        from: Option<Cursor>,
        to: Option<Cursor>,
    ) -> Result<bool, StoreError> {
        let (Some(known), Some(_)) = (from, to) else {
            return Ok(topic.restart(from, to, from.is_some()));
        };
        match self.store.read_after(topic.id, known, self.page).await {
            Ok(Read::Continues(window)) => Ok(topic.extend(known, &window)),
            Ok(Read::Trimmed | Read::Forked) => Ok(topic.restart(from, to, true)),
            // The topic moves past the entry that cannot be read.
            Err(StoreError::Damaged { at, .. }) if is_next(known, at) => {
                Ok(topic.restart(from, to, false))
            }
            Err(error) => Err(error),
        }
    }

    /// The topic of this LTM, if the thread follows it.
    pub(crate) fn topic(&self, id: LtmId) -> Option<Rc<Topic>> {
        self.entries()
            .get(&id)
            .map(|followed| followed.topic.clone())
    }

    /// All LTMs that the thread follows.
    pub(crate) fn ids(&self) -> Vec<LtmId> {
        self.entries().keys().copied().collect()
    }

    fn entries(&self) -> RefMut<'_, HashMap<LtmId, Followed>> {
        self.entries.borrow_mut()
    }
}

impl TopicHandle {
    /// Whether the thread's fan-out has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.topics.failed.get()
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        if let Some(followed) = self.topics.entries().get_mut(&self.topic.id) {
            followed.subscribers -= 1;
            followed.idle_since = Instant::now();
        }
    }
}
