//! What all threads of a gateway share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ltm_auth::Auth;
use ltm_service::{LimitsHit, Readiness, Tasks};
use ltm_store::{Inspector, Live, Redis, Store};

use crate::{
    fanout::{backlog::Backlog, log_source::LogSource},
    list::feed::ListFeeds,
    metrics::GatewayMetrics,
    settings::{GatewaySettings, bytes},
    subscriber::{drain::Drain, large_messages::LargeMessages, per_ltm_limit::PerLtmLimit},
};

/// A running gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    inspector: Inspector,
    store: Store,
    logs: Arc<dyn LogSource>,
    /// The listeners to Redis, one per thread.
    listeners: Mutex<Vec<Live>>,
    per_ltm_limit: Arc<PerLtmLimit>,
    backlog: Arc<Backlog>,
    lists: Arc<ListFeeds>,
    large_messages: LargeMessages,
    drain: Drain,
    tasks: Tasks,
    auth: Auth,
    metrics: GatewayMetrics,
    limits: LimitsHit,
    settings: GatewaySettings,
}

impl Gateway {
    /// A gateway to this Redis. [`configure`](crate::configure) mounts it in a server. Its tasks run in `tasks`,
    /// and it drains when their shutdown begins. It counts the limits that it reaches in `limits`.
    pub fn new(
        redis: Redis,
        settings: GatewaySettings,
        auth: Auth,
        tasks: Tasks,
        limits: LimitsHit,
    ) -> Self {
        let store = Store::new(redis.clone());
        let logs: Arc<dyn LogSource> = Arc::new(store.clone());
        let inner = Inner {
            inspector: Inspector::new(redis),
            listeners: Mutex::default(),
            per_ltm_limit: Arc::new(PerLtmLimit::new(&settings, limits.clone())),
            backlog: Arc::new(Backlog::new(logs.clone(), &settings)),
            lists: ListFeeds::new(store.clone(), tasks.clone(), &settings, limits.clone()),
            large_messages: LargeMessages::new(bytes(settings.large_messages), limits.clone()),
            drain: Drain::new(settings.max_subscribers, limits.clone()),
            tasks,
            store,
            logs,
            auth,
            metrics: GatewayMetrics::new(),
            limits,
            settings,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The readiness check for the server: whether live entries reach this gateway.
    pub fn readiness(&self) -> Readiness {
        let gateway = self.clone();
        Readiness::new(self.inner.tasks.shutdown().clone(), move || {
            let gateway = gateway.clone();
            async move { gateway.ready().await }
        })
    }

    /// Waits until the shutdown begins, then drains the gateway: closes all sockets with 1012, spread over the
    /// drain time, and waits for them.
    pub async fn stopped(self) {
        self.inner.tasks.shutdown().begun().await;
        let settings = &self.inner.settings;
        self.inner
            .drain
            .empty(settings.drain_notice, settings.drain_time)
            .await;
    }

    async fn ready(&self) -> Result<Vec<String>, String> {
        let warnings = self.inner.inspector.ready().await?;
        let listeners = self.listeners();
        if listeners.is_empty() || !listeners.iter().all(Live::is_healthy) {
            return Err("a live connection to Redis is down".into());
        }
        Ok(warnings)
    }

    pub(crate) fn listeners(&self) -> MutexGuard<'_, Vec<Live>> {
        let listeners = &self.inner.listeners;
        listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn logs(&self) -> &Arc<dyn LogSource> {
        &self.inner.logs
    }

    pub(crate) fn per_ltm_limit(&self) -> &Arc<PerLtmLimit> {
        &self.inner.per_ltm_limit
    }

    pub(crate) fn backlog(&self) -> &Arc<Backlog> {
        &self.inner.backlog
    }

    pub(crate) fn lists(&self) -> &Arc<ListFeeds> {
        &self.inner.lists
    }

    pub(crate) fn large_messages(&self) -> LargeMessages {
        self.inner.large_messages.clone()
    }

    pub(crate) fn drain(&self) -> &Drain {
        &self.inner.drain
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    pub(crate) fn metrics(&self) -> &GatewayMetrics {
        &self.inner.metrics
    }

    pub(crate) fn limits(&self) -> &LimitsHit {
        &self.inner.limits
    }

    pub(crate) fn settings(&self) -> &GatewaySettings {
        &self.inner.settings
    }
}
