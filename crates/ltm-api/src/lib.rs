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
    Resource,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use body::Room;
use ltm_auth::Auth;
use ltm_service::{Metrics, Readiness, Server, Tasks, VERSION, method_not_allowed};
use ltm_settings::SettingError;
use ltm_state::Retention;
use ltm_store::{Inspector, Redis, Store, StoreError};

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
    config.app_data(web::Data::new(api.clone()));
    for Path {
        path,
        allow,
        mount,
        guarded,
    } in PATHS
    {
        let others = web::to(move || async move { method_not_allowed(allow) });
        let resource = mount(web::resource(*path)).default_service(others);
        if *guarded {
            config.service(resource.wrap(from_fn(access::check)));
        } else {
            config.service(resource);
        }
    }
    if api.settings().inspector {
        ltm_inspector::configure(config);
    }
    if api.settings().docs {
        ltm_docs::configure(config, openapi::openapi());
    }
}

/// A path of the API.
struct Path {
    path: &'static str,
    /// The methods that it answers to, as the header says them.
    allow: &'static str,
    mount: fn(Resource) -> Resource,
    /// Whether it is looked at who calls before the call is.
    guarded: bool,
}

const fn path(path: &'static str, allow: &'static str, mount: fn(Resource) -> Resource) -> Path {
    Path {
        path,
        allow,
        mount,
        guarded: true,
    }
}

/// Every path but those of pages. They are tried one after another: first what is asked for most.
const PATHS: &[Path] = &[
    path("/api/v0/ltm/{id}/snapshots", "GET, POST", |it| {
        it.get(snapshots::snapshots).post(append::append)
    }),
    path("/api/v0/ltm/{id}", "GET, DELETE", |it| {
        it.get(document::document).delete(delete::delete)
    }),
    path("/api/v0/ltm", "GET, POST", |it| {
        it.get(list::list).post(create::create)
    }),
    path("/api/v0/ltm/{id}/state", "GET", |it| it.get(state::state)),
    path("/api/v0/ltm/{id}/rollback", "POST", |it| {
        it.post(rollback::rollback)
    }),
    path("/api/v0/ltm/{id}/errors", "POST", |it| {
        it.post(errors::record)
    }),
    path("/api/v0/ltm/{id}/copy", "POST", |it| it.post(copy::copy)),
    Path {
        // It looks itself: it needs what was shown.
        guarded: false,
        ..path("/api/v0/ws-ticket", "POST", |it| it.post(ticket::ticket))
    },
];

/// Runs the service until the shutdown of `tasks` begins.
///
/// # Errors
///
/// Where Redis's URL cannot be read, or the address not be listened on.
pub async fn run(settings: Settings, tasks: Tasks) -> Result<(), RunError> {
    let shutdown = tasks.shutdown().clone();
    let auth = Auth::new(&settings.auth, &settings.api.listen, tasks.spawner())?;
    let redis = Redis::open_with(&settings.redis, tasks.spawner())?;
    let api = Api::new(
        redis.clone(),
        settings.api.clone(),
        settings.retention,
        auth,
    );
    tasks.spawn("retention", api.clone().retain());
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
    Settings(#[from] SettingError),
    /// The settings of Redis are wrong.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
