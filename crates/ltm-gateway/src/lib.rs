//! The service that pushes the snapshots of LTMs to WebSocket subscribers.
//!
//! [`run`] is the whole service; [`Gateway::new`] and [`configure`] mount it in another server.

mod audience;
mod backlog;
mod drain;
mod end;
mod event_queue;
mod fan_out;
mod frame;
mod handshake;
mod inbound;
mod list_socket;
mod lists;
mod many;
mod member;
mod message;
mod metrics;
mod outbound;
mod pass;
mod rows;
mod settings;
mod socket;
mod sse;
mod subscription;
mod topic;
mod topics;
mod traced;
mod wish;
mod worker;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{
    Route,
    web::{self, ServiceConfig},
};
use audience::Audience;
use backlog::Backlog;
use drain::Drain;
use lists::Lists;
use ltm_auth::Auth;
use ltm_service::{
    Metrics, Origins, Readiness, Server, Shutdown, Tasks, VERSION, method_not_allowed,
};
use ltm_settings::SettingError;
use ltm_store::{Inspector, Live, Redis, Store, StoreError};
pub use settings::{GatewaySettings, Settings};
pub use wish::Wish;
use worker::Worker;

/// A running gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    inspector: Inspector,
    store: Store,
    /// What listens to Redis, one for each thread.
    listeners: Mutex<Vec<Live>>,
    audience: Arc<Audience>,
    backlog: Arc<Backlog>,
    lists: Arc<Lists>,
    drain: Drain,
    shutdown: Shutdown,
    origins: Origins,
    auth: Auth,
    metrics: metrics::Metrics,
    settings: GatewaySettings,
}

impl Gateway {
    /// A gateway to this Redis. It begins to follow where it is mounted.
    pub fn new(
        redis: Redis,
        settings: GatewaySettings,
        origins: Origins,
        auth: Auth,
        shutdown: Shutdown,
    ) -> Self {
        let store = Store::new(redis.clone());
        let inner = Inner {
            inspector: Inspector::new(redis),
            listeners: Mutex::default(),
            audience: Arc::new(Audience::new(&settings)),
            backlog: Arc::new(Backlog::new(store.clone(), &settings)),
            lists: Lists::new(store.clone(), &settings),
            drain: Drain::new(settings.max_subscribers),
            shutdown,
            store,
            origins,
            auth,
            metrics: metrics::Metrics::new(),
            settings,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether entries reach this gateway, for the server that it is mounted in.
    pub fn readiness(&self) -> Readiness {
        let gateway = self.clone();
        Readiness::new(self.inner.shutdown.clone(), move || {
            let gateway = gateway.clone();
            async move { gateway.ready().await }
        })
    }

    /// Waits until it is time to stop, tells all subscribers to connect elsewhere, spread over the drain
    /// time, and waits for them.
    pub async fn stopped(self) {
        self.inner.shutdown.begun().await;
        let settings = &self.inner.settings;
        self.inner
            .drain
            .empty(settings.drain_notice, settings.drain_time)
            .await;
    }

    async fn ready(&self) -> Result<(), String> {
        self.inner.inspector.ready().await?;
        let listeners = self.listeners();
        if listeners.is_empty() || !listeners.iter().all(Live::is_healthy) {
            return Err("a live connection to Redis is not up".into());
        }
        Ok(())
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Live>> {
        let listeners = &self.inner.listeners;
        listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn backlog(&self) -> &Arc<Backlog> {
        &self.inner.backlog
    }

    fn lists(&self) -> &Arc<Lists> {
        &self.inner.lists
    }

    fn drain(&self) -> &Drain {
        &self.inner.drain
    }

    fn origins(&self) -> &Origins {
        &self.inner.origins
    }

    fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    fn metrics(&self) -> &metrics::Metrics {
        &self.inner.metrics
    }

    fn settings(&self) -> &GatewaySettings {
        &self.inner.settings
    }
}

/// Mounts the routes of the gateway, and begins to follow; to be called in each thread of a server.
pub fn configure(gateway: &Gateway, config: &mut ServiceConfig) {
    config.app_data(web::Data::new(Worker::start(gateway.clone())));
    let get = |path, handler: Route| {
        let others = web::to(|| async { method_not_allowed("GET") });
        web::resource(path).route(handler).default_service(others)
    };
    for base in ["", "/api/v0"] {
        // Before the LTMs: no id is a word.
        config.service(get(
            format!("{base}/ws/ltms"),
            web::get().to(list_socket::follow),
        ));
        config.service(get(
            format!("{base}/ws/{{id}}"),
            web::get().to(socket::follow),
        ));
        config.service(get(format!("{base}/ws"), web::get().to(many::follow)));
        config.service(get(
            format!("{base}/sse/{{id}}"),
            web::get().to(sse::follow),
        ));
    }
}

/// Runs the service until the shutdown of `tasks` begins.
///
/// # Errors
///
/// Where Redis's URL cannot be read, or the address not be listened on.
pub async fn run(settings: Settings, tasks: Tasks) -> Result<(), RunError> {
    let origins = settings.cors.origins;
    let auth = Auth::new(&settings.auth, &settings.gateway.listen, tasks.spawner())?;
    let redis = Redis::open_with(&settings.redis, tasks.spawner())?;
    let mut metrics = Metrics::new();
    redis.metrics().register(metrics.registry());
    let gateway = Gateway::new(
        redis,
        settings.gateway.clone(),
        origins.clone(),
        auth,
        tasks.shutdown().clone(),
    );
    gateway.register(metrics.registry());
    let server = Server {
        listen: settings.gateway.listen,
        http: settings.http,
        origins,
        readiness: gateway.readiness(),
        metrics,
        drain_time: Duration::from_secs(1),
        write_stall: settings.gateway.write_stall,
    };
    tracing::info!(
        version = VERSION,
        redis = settings.redis.shown_place(),
        traces = settings.tracing.endpoint,
        "starting the gateway"
    );
    let stop = gateway.clone().stopped();
    server
        .run(move |config| configure(&gateway, config), stop)
        .await?;
    Ok(())
}

/// Why the service ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings do not go together.
    #[error(transparent)]
    Settings(#[from] SettingError),
    /// The settings of Redis are wrong.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
