//! `ltm dev`: the API and the gateway in one process, with a Redis server of their own.

use std::{io, process::ExitCode, time::Duration};

use ltm_api::{Api, ApiSettings};
use ltm_auth::{Auth, AuthSettings};
use ltm_gateway::{Gateway, GatewaySettings};
use ltm_service::{
    Arguments, Common, CorsSettings, HttpSettings, LogSettings, Metrics, Program, Server, Tasks,
    TracingSettings,
};
use ltm_settings::SettingError;
use ltm_state::Retention;
use ltm_store::{Redis, RedisSettings, StoreError};
use serde::{Deserialize, Serialize};

use crate::{
    args::DevArgs,
    redis_server::{LocalRedis, LocalRedisError, default_data_dir},
};

/// On a laptop nobody waits for closes that are spread over a long time.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// All settings of both services. `api.listen` and `gateway.listen` say nothing here.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DevSettings {
    /// Where Redis is; without a URL one is started.
    redis: RedisSettings,
    api: ApiSettings,
    gateway: GatewaySettings,
    retention: Retention,
    http: HttpSettings,
    auth: AuthSettings,
    cors: CorsSettings,
    log: LogSettings,
    tracing: TracingSettings,
}

impl Default for DevSettings {
    fn default() -> Self {
        Self {
            redis: RedisSettings {
                url: String::new(),
                ..RedisSettings::default()
            },
            api: ApiSettings {
                drain_time: DRAIN_TIME,
                ..ApiSettings::default()
            },
            gateway: GatewaySettings {
                // Nothing stands before it.
                drain_notice: Duration::ZERO,
                drain_time: DRAIN_TIME,
                ..GatewaySettings::default()
            },
            retention: Retention::default(),
            http: HttpSettings::default(),
            auth: AuthSettings::default(),
            cors: CorsSettings::default(),
            log: LogSettings::default(),
            tracing: TracingSettings::default(),
        }
    }
}

impl Program for DevSettings {
    const NAME: &'static str = "ltm";

    fn common(&self) -> Common<'_> {
        Common {
            redis: &self.redis,
            http: &self.http,
            auth: &self.auth,
            log: &self.log,
            tracing: &self.tracing,
        }
    }

    fn listen(&self) -> &str {
        &self.gateway.listen
    }

    fn check(&self) -> Result<(), SettingError> {
        self.api.check()?;
        self.gateway.check()
    }
}

/// Why it ended before it was told to.
#[derive(Debug, thiserror::Error)]
enum DevError {
    /// The settings do not go together.
    #[error(transparent)]
    Settings(#[from] SettingError),
    /// The server of our own.
    #[error(transparent)]
    LocalRedis(#[from] LocalRedisError),
    /// The settings of Redis are wrong.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs until a signal.
pub(crate) fn run(args: &DevArgs) -> ExitCode {
    let arguments = Arguments {
        config: args.config.clone(),
        ..Arguments::default()
    };
    ltm_service::run(&arguments, |settings, tasks| develop(args, settings, tasks))
}

async fn develop(args: &DevArgs, mut settings: DevSettings, tasks: Tasks) -> Result<(), DevError> {
    if !settings.redis.url.is_empty()
        || !settings.redis.sentinels.is_empty()
        || !settings.redis.cluster_nodes.is_empty()
    {
        return serve(&args.listen, settings, tasks).await;
    }
    let shutdown = tasks.shutdown().clone();
    let data_dir = args.data_dir.clone().map_or_else(default_data_dir, Ok)?;
    let mut redis = tokio::select! {
        started = LocalRedis::start(&data_dir) => started?,
        () = shutdown.begun() => return Ok(()),
    };
    tracing::info!(data = %data_dir.display(), log = %redis.log().display(), "started a Redis server");
    settings.redis.url = redis.url();
    let served = serve(&args.listen, settings, tasks);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        served = &mut served => served?,
        died = redis.died() => {
            shutdown.begin();
            served.await?;
            return Err(died.into());
        }
    }
    Ok(redis.stop().await?)
}

/// Both services on one port.
async fn serve(listen: &str, settings: DevSettings, tasks: Tasks) -> Result<(), DevError> {
    let origins = settings.cors.origins;
    let auth = Auth::new(&settings.auth, listen, tasks.spawner())?;
    let redis = Redis::open_with(&settings.redis, tasks.spawner())?;
    let mut metrics = Metrics::new();
    redis.metrics().register(metrics.registry());
    let api = Api::new(
        redis.clone(),
        settings.api.clone(),
        settings.retention,
        auth.clone(),
    );
    tasks.spawn("retention", api.clone().retain());
    let gateway = Gateway::new(
        redis,
        settings.gateway.clone(),
        origins.clone(),
        auth,
        tasks.shutdown().clone(),
    );
    api.register(metrics.registry());
    gateway.register(metrics.registry());
    let server = Server {
        listen: listen.into(),
        http: settings.http,
        origins,
        readiness: gateway.readiness(),
        metrics,
        drain_time: settings.api.drain_time,
        write_stall: settings.api.write_stall,
    };
    let stop = gateway.clone().stopped();
    let routes = move |config: &mut _| {
        ltm_api::configure(&api, config);
        ltm_gateway::configure(&gateway, config);
    };
    Ok(server.run(routes, stop).await?)
}
