//! The HTTP service that takes snapshots from the engines that run LTMs and writes them to Redis.
//!
//! [`run`] is the whole service; [`configure`] mounts its routes in another server.

mod access;
mod answers;
mod append;
mod body;
mod change;
mod copy;
mod create;
mod delete;
mod document;
mod errors;
mod headers;
mod known;
mod list;
mod metrics;
mod openapi;
mod pace;
mod parts;
mod path;
mod retention;
mod rollback;
mod settings;
mod snapshots;
mod state;
mod states;
mod ticket;
mod write;

use std::{io, sync::Arc};

use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use body::Room;
use ltm_service::{
    Metrics, Readiness, Server, SettingsError, Shutdown, VERSION, auth::Auth, method_not_allowed,
};
use ltm_store::{Inspector, Redis, Retention, Store, StoreError};

pub use append::snapshot_of;
pub use settings::{ApiSettings, Settings};
use states::States;

/// What the service's requests share. Clones share it too.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    states: States,
    settings: ApiSettings,
    retention: Retention,
    room: Room,
    auth: Auth,
    metrics: Arc<metrics::Metrics>,
}

impl Api {
    /// The service over this Redis.
    pub fn new(redis: Redis, settings: ApiSettings, retention: Retention, auth: Auth) -> Self {
        let store = Store::new(redis);
        let metrics = Arc::new(metrics::Metrics::new());
        let states = States::new(store.clone(), &settings, retention, metrics.clone());
        Self {
            inner: Arc::new(Inner {
                room: Room::new(settings.bodies),
                auth,
                store,
                states,
                settings,
                retention,
                metrics,
            }),
        }
    }

    /// Removes from time to time what retention does not keep, for ever.
    pub async fn retain(self) {
        retention::retain(&self).await;
    }

    fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    fn metrics(&self) -> &metrics::Metrics {
        &self.inner.metrics
    }

    fn retention(&self) -> Retention {
        self.inner.retention
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn states(&self) -> &States {
        &self.inner.states
    }

    fn room(&self) -> &Room {
        &self.inner.room
    }

    fn settings(&self) -> &ApiSettings {
        &self.inner.settings
    }
}

/// Mounts the routes of the API, and the inspector and the descriptions where they are wanted.
pub fn configure(api: &Api, config: &mut ServiceConfig) {
    if api.settings().inspector {
        ltm_inspector::configure(config);
    }
    if api.settings().docs {
        ltm_docs::configure(config, openapi::openapi());
    }
    let route = |path: &str, allow: &'static str| {
        web::resource(path)
            .wrap(from_fn(access::check))
            .default_service(web::to(move || async move { method_not_allowed(allow) }))
    };
    let others = web::to(|| async { method_not_allowed("POST") });
    let tickets = web::resource("/api/v0/ws-ticket").post(ticket::ticket);
    config.service(tickets.default_service(others));
    config.app_data(web::Data::new(api.clone())).service(
        web::scope("/api/v0/ltm")
            .service(route("", "GET, POST").get(list::list).post(create::create))
            // Patterns are tried one after another: first what is asked for most.
            .service(
                route("/{id}/snapshots", "GET, POST")
                    .get(snapshots::snapshots)
                    .post(append::append),
            )
            .service(
                route("/{id}", "GET, DELETE")
                    .get(document::document)
                    .delete(delete::delete),
            )
            .service(route("/{id}/state", "GET").get(state::state))
            .service(route("/{id}/rollback", "POST").post(rollback::rollback))
            .service(route("/{id}/errors", "POST").post(errors::record))
            .service(route("/{id}/copy", "POST").post(copy::copy)),
    );
}

/// Runs the service until `shutdown`.
///
/// # Errors
///
/// Where Redis's URL cannot be read, or the address not be listened on.
pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<(), RunError> {
    let auth = Auth::new(&settings.auth, &settings.api.listen)?;
    let redis = Redis::open(&settings.redis)?;
    let api = Api::new(
        redis.clone(),
        settings.api.clone(),
        settings.retention,
        auth,
    );
    tokio::spawn(api.clone().retain());
    let mut metrics = Metrics::new();
    redis.metrics().register(metrics.registry());
    api.register(metrics.registry());
    let inspector = Inspector::new(redis);
    let readiness = Readiness::new(shutdown.clone(), move || {
        let inspector = inspector.clone();
        async move { inspector.ready().await }
    });
    let server = Server {
        listen: settings.api.listen,
        http: settings.http,
        origins: settings.cors.origins,
        readiness,
        metrics,
        drain_time: settings.api.drain_time,
        write_stall: settings.api.write_stall,
    };
    tracing::info!(
        version = VERSION,
        redis = settings.redis.shown_place(),
        traces = settings.tracing.endpoint,
        "starting the API"
    );
    server
        .run(move |config| configure(&api, config), async move {
            shutdown.begun().await
        })
        .await?;
    Ok(())
}

/// Why the service ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings do not go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The settings of Redis are wrong.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
