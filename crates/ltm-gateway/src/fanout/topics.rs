//! The LTMs that one thread follows. Each has one subscription in Redis, whatever its number of subscribers.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ltm_service::Tasks;
use ltm_store::{Live, Read, StoreError, WindowBounds, reconnect_pauses};
use ltm_types::{Cursor, LtmId};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

use crate::{
    compression::limits::CompressionLimits,
    fanout::{
        backlog::page_bounds,
        entry_message::is_next,
        log_source::LogSource,
        run_queue::RunQueue,
        topic::{Topic, TopicBounds},
    },
    metrics::GatewayMetrics,
    settings::{GatewaySettings, bytes},
    subscriber::{
        close::CloseCause,
        per_ltm_limit::{PerLtmLimit, PerLtmPermit},
    },
};

/// How many heads one round trip to Redis reads.
const BATCH: usize = 512;

/// The LTMs that a thread follows.
pub(crate) struct Topics {
    logs: Arc<dyn LogSource>,
    live: Live,
    entries: RefCell<BTreeMap<LtmId, Followed>>,
    limit: Arc<PerLtmLimit>,
    run_queue: Rc<RunQueue>,
    tasks: Tasks,
    metrics: GatewayMetrics,
    /// Whether the thread's fan-out has ended, so that nothing is delivered live any more.
    failed: Cell<bool>,
    max_followed: usize,
    linger: Duration,
    sweep_interval: Duration,
    bounds: TopicBounds,
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
    pub(crate) fn new(
        logs: Arc<dyn LogSource>,
        live: Live,
        run_queue: Rc<RunQueue>,
        limit: Arc<PerLtmLimit>,
        tasks: Tasks,
        metrics: GatewayMetrics,
        settings: &GatewaySettings,
    ) -> Rc<Self> {
        Rc::new(Self {
            logs,
            live,
            entries: RefCell::default(),
            limit,
            run_queue,
            tasks,
            metrics,
            failed: Cell::new(false),
            max_followed: settings.max_followed,
            linger: settings.linger,
            sweep_interval: settings.sweep_interval,
            bounds: TopicBounds {
                window: bytes(settings.window),
                batch: bytes(settings.queue),
                compression: CompressionLimits::new(settings),
            },
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
                topic: Topic::new(id, self.bounds, self.metrics.clone()),
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
        let [mut sweeps, mut departures] = [self.sweep_interval, self.linger].map(ticks);
        loop {
            tokio::select! {
                biased;
                _ = sweeps.tick() => {
                    for followed in self.entries().values() {
                        followed.topic.age();
                    }
                    self.refresh_soon(self.ids());
                }
                _ = departures.tick() => self.let_go(&mut self.entries(), self.linger),
            }
        }
    }

    /// Drops the topics that have had no subscriber for `idle`.
    fn let_go(&self, entries: &mut BTreeMap<LtmId, Followed>, idle: Duration) {
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
            let heads = match self.logs.heads(&ids).await {
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
                    Ok(news) => {
                        topic.compared();
                        if news {
                            self.run_queue.push(topic.clone());
                        }
                    }
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
        match self.logs.read_after(topic.id, known, self.page).await {
            Ok(Read::Continues(window)) => Ok(topic.extend(known, &window)),
            Ok(Read::Trimmed | Read::Forked) => Ok(topic.restart(from, to, true)),
            // The LTM was deleted after its head was read.
            Err(StoreError::Unknown(_) | StoreError::Deleted { .. }) => {
                Ok(topic.restart(from, None, true))
            }
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

    fn entries(&self) -> RefMut<'_, BTreeMap<LtmId, Followed>> {
        self.entries.borrow_mut()
    }
}

/// Ticks at this interval, for the first time after it.
fn ticks(every: Duration) -> Interval {
    let every = every.max(Duration::from_millis(100));
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
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

#[cfg(test)]
mod tests;
