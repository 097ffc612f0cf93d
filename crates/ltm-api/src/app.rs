//! What the service's requests share.

use std::sync::Arc;

use ltm_auth::Auth;
use ltm_service::{LimitsHit, Shutdown};
use ltm_state::Retention;
use ltm_store::{Redis, Store};
use prometheus_client::registry::Registry;

use crate::{
    ApiSettings,
    body_budget::BodyBudget,
    json_work::JsonWork,
    list_check::ListCheck,
    metrics::Metrics,
    reader::{Documents, Reader},
    retention_sweep::RetentionSweep,
    state_cache::StateCache,
    waits::Waits,
    writer::Writer,
};

/// What the service's requests share. Clones share it too.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    cache: Arc<StateCache>,
    writer: Writer,
    reader: Reader,
    documents: Documents,
    settings: ApiSettings,
    retention: Retention,
    body_budget: BodyBudget,
    json_work: JsonWork,
    waits: Waits,
    auth: Auth,
    metrics: Arc<Metrics>,
    limits: LimitsHit,
}

impl Api {
    /// The service over this Redis. It counts the limits that it reaches in `limits`. Requests that wait end when
    /// `shutdown` begins.
    pub fn new(
        redis: Redis,
        settings: ApiSettings,
        retention: Retention,
        auth: Auth,
        limits: LimitsHit,
        shutdown: Shutdown,
    ) -> Self {
        let store = Store::new(redis);
        let metrics = Arc::new(Metrics::new());
        let cache = StateCache::new(
            store.clone(),
            &settings,
            retention,
            metrics.clone(),
            limits.clone(),
        );
        let cache = Arc::new(cache);
        let json_work = JsonWork::new(&settings, limits.clone());
        let reader = Reader::new(
            store.clone(),
            cache.clone(),
            json_work.clone(),
            &settings,
            limits.clone(),
        );
        Self {
            inner: Arc::new(Inner {
                writer: Writer::new(
                    store.clone(),
                    cache.clone(),
                    json_work.clone(),
                    metrics.clone(),
                ),
                documents: Documents::new(reader.clone(), &settings),
                reader,
                body_budget: BodyBudget::new(settings.bodies, limits.clone()),
                json_work,
                waits: Waits::new(store.clone(), &settings, limits.clone(), shutdown),
                store,
                cache,
                settings,
                retention,
                auth,
                metrics,
                limits,
            }),
        }
    }

    /// Removes at intervals what the retention rules do not keep, without end.
    pub async fn retain(self) {
        let Inner {
            store,
            cache,
            metrics,
            ..
        } = &*self.inner;
        let sweep = RetentionSweep {
            store: store.clone(),
            cache: cache.clone(),
            metrics: metrics.clone(),
            rules: self.inner.retention,
            interval: self.inner.settings.retention_interval,
        };
        sweep.run().await;
    }

    /// Keeps the index of the lists complete, and counts LTMs for the metrics, without end.
    pub async fn check_lists(self) {
        let settings = &self.inner.settings;
        let check = ListCheck {
            store: self.inner.store.clone(),
            metrics: self.inner.metrics.clone(),
            interval: settings.list_interval,
            every: settings.list_check_interval,
        };
        check.run().await;
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    /// Shows the metrics of the service in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.inner.metrics.register(registry);
        self.inner.json_work.register(registry);
        self.inner.documents.register(registry);
        StateCache::register(&self.inner.cache, registry);
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    pub(crate) fn documents(&self) -> &Documents {
        &self.inner.documents
    }

    pub(crate) fn body_budget(&self) -> &BodyBudget {
        &self.inner.body_budget
    }

    pub(crate) fn json_work(&self) -> &JsonWork {
        &self.inner.json_work
    }

    pub(crate) fn waits(&self) -> &Waits {
        &self.inner.waits
    }

    pub(crate) fn limits(&self) -> &LimitsHit {
        &self.inner.limits
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.inner.settings
    }
}
