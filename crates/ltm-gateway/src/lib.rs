//! The service that pushes the snapshots of LTMs to WebSocket subscribers.
//!
//! [`run`] is the whole service; [`Gateway::start`] and [`configure`] mount it in another server.

mod backlog;
mod control;
mod drain;
mod end;
mod frame;
mod inbound;
mod message;
mod outbound;
mod settings;
mod socket;
mod subscription;
mod topic;
mod topics;
mod wish;

use std::{io, sync::Arc, time::Duration};

use actix_web::web::{self, ServiceConfig};
use backlog::Backlog;
use drain::Drain;
use ltm_service::{Origins, Readiness, Server, Shutdown, method_not_allowed};
use ltm_store::{Live, Redis, RedisSettings, Store, StoreError};
use settings::bytes;
pub use settings::{GatewaySettings, Settings};
use topics::Topics;
pub use wish::Wish;

/// A running gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    live: Live,
    topics: Arc<Topics>,
    backlog: Arc<Backlog>,
    drain: Drain,
    shutdown: Shutdown,
    origins: Origins,
    settings: GatewaySettings,
}

impl Gateway {
    /// Connects to Redis and begins to follow, in tasks of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] where the URL of Redis cannot be read.
    pub fn start(
        redis: &RedisSettings,
        settings: GatewaySettings,
        origins: Origins,
        shutdown: Shutdown,
    ) -> Result<Self, StoreError> {
        let commands = Redis::open(redis)?;
        let store = Store::new(commands.clone());
        let (live, events) = Live::start(redis, commands, bytes(settings.live_queue));
        let topics = Topics::new(store.clone(), live.clone(), &settings);
        tokio::spawn(topics.clone().dispatch(events));
        tokio::spawn(topics.clone().sweep());
        let inner = Inner {
            backlog: Arc::new(Backlog::new(store.clone(), &settings)),
            drain: Drain::new(settings.max_subscribers),
            shutdown,
            store,
            live,
            topics,
            origins,
            settings,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
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
        self.inner
            .store
            .redis()
            .ping()
            .await
            .map_err(|e| e.to_string())?;
        if !self.inner.live.hears() {
            return Err("the live connection to Redis is not up".into());
        }
        Ok(())
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn topics(&self) -> &Arc<Topics> {
        &self.inner.topics
    }

    fn backlog(&self) -> &Arc<Backlog> {
        &self.inner.backlog
    }

    fn drain(&self) -> &Drain {
        &self.inner.drain
    }

    fn origins(&self) -> &Origins {
        &self.inner.origins
    }

    fn settings(&self) -> &GatewaySettings {
        &self.inner.settings
    }
}

/// Mounts the routes of the gateway.
pub fn configure(gateway: &Gateway, config: &mut ServiceConfig) {
    config.app_data(web::Data::new(gateway.clone()));
    for path in ["/ws/{id}", "/api/v0/ws/{id}"] {
        let others = web::to(|| async { method_not_allowed("GET") });
        config.service(
            web::resource(path)
                .get(socket::follow)
                .default_service(others),
        );
    }
}

/// Runs the service until `shutdown`.
///
/// # Errors
///
/// Where Redis's URL cannot be read, or the address not be listened on.
pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<(), RunError> {
    let origins = settings.cors.origins;
    let gateway = Gateway::start(
        &settings.redis,
        settings.gateway.clone(),
        origins.clone(),
        shutdown,
    )?;
    let server = Server {
        listen: settings.gateway.listen,
        http: settings.http,
        origins,
        readiness: gateway.readiness(),
        drain_time: Duration::from_secs(1),
        write_stall: settings.gateway.write_stall,
        write_buffer: settings.gateway.queue,
        linger: Duration::ZERO,
    };
    tracing::info!(redis = settings.redis.shown_place(), "starting the gateway");
    let stop = gateway.clone().stopped();
    server
        .run(move |config| configure(&gateway, config), stop)
        .await?;
    Ok(())
}

/// Why the service ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings of Redis are wrong.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
