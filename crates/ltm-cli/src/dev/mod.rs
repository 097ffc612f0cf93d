//! `ltm dev`: the API and the gateway in one process, with a Redis server of their own.

mod redis_server;

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

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

pub(crate) use redis_server::running_redis;
use redis_server::{LocalRedis, LocalRedisError, default_data_dir};

/// The arguments of `ltm dev`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: String,
    /// The directory of Redis's data [default: $XDG_DATA_HOME/ltm-live or ~/.local/share/ltm-live]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A TOML file with settings; environment variables such as LTM__API__MAX_BODY override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// On a laptop there is no reason to spread the closes over a long time.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The settings of both services. `api.listen` and `gateway.listen` have no effect.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DevSettings {
    /// The Redis to use. Without a URL, `ltm dev` starts one.
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
                // There is no load balancer that has to notice the drain.
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

/// Why `ltm dev` ended.
#[derive(Debug, thiserror::Error)]
enum DevError {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingError),
    /// The Redis server of `ltm dev` failed.
    #[error(transparent)]
    LocalRedis(#[from] LocalRedisError),
    /// The settings of Redis are wrong.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs both services until a signal.
pub(crate) fn run(args: &Args) -> ExitCode {
    let arguments = Arguments {
        config: args.config.clone(),
        ..Arguments::default()
    };
    ltm_service::run(&arguments, |settings, tasks| develop(args, settings, tasks))
}

async fn develop(args: &Args, mut settings: DevSettings, tasks: Tasks) -> Result<(), DevError> {
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
    let auth = Auth::new(&settings.auth, listen, tasks.spawner())?;
    let open = !auth.is_required();
    let redis = Redis::open_with(&settings.redis, tasks.spawner())?;
    tasks.spawn("revocations", auth.clone().watch(redis.clone()));
    let mut metrics = Metrics::new();
    redis.metrics().register(metrics.registry());
    let api = Api::new(
        redis.clone(),
        settings.api.clone(),
        settings.retention,
        auth.clone(),
        metrics.limits().clone(),
        tasks.shutdown().clone(),
    );
    tasks.spawn("retention", api.clone().retain());
    tasks.spawn("list check", api.clone().check_lists());
    let gateway = Gateway::new(
        redis,
        settings.gateway.clone(),
        auth,
        tasks.clone(),
        metrics.limits().clone(),
    );
    api.register(metrics.registry());
    gateway.register(metrics.registry());
    let server = Server {
        listen: listen.into(),
        http: settings.http,
        origins: settings.cors.origins,
        open,
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
