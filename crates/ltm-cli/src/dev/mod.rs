//! `ltm dev`: the API and the gateway in one process, with a Redis server of their own.

mod redis_server;

use std::{io, net::ToSocketAddrs, path::PathBuf, process::ExitCode, time::Duration};

use futures_util::FutureExt;
use ltm_agui::AguiSettings;
use ltm_api::{Api, ApiSettings};
use ltm_auth::{Auth, AuthSettings};
use ltm_client::{ServerUrl, ServerUrlError, Token};
use ltm_gateway::{Gateway, GatewaySettings};
use ltm_service::{
    Arguments, Common, CorsSettings, Failure, HttpSettings, LogSettings, Metrics, Program, Server,
    Tasks, TracingSettings, log_start,
};
use ltm_settings::SettingError;
use ltm_state::Retention;
use ltm_store::{Redis, RedisSettings, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::agui;
pub(crate) use redis_server::running_redis;
use redis_server::{LocalRedis, LocalRedisError, default_data_dir};

/// The arguments of `ltm dev`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = address)]
    listen: String,
    /// The directory of Redis's data [default: $XDG_DATA_HOME/ltm-live or ~/.local/share/ltm-live]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A TOML file with settings; environment variables such as LTM__API__MAX_BODY override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also record this AG-UI agent, as `ltm agui --upstream` does
    #[arg(long, value_name = "[ID=]URL")]
    agui_upstream: Vec<String>,
    /// The address of the recorder of AG-UI agents [default: 127.0.0.1:8010]
    #[arg(long, value_name = "ADDRESS", requires = "agui_upstream", value_parser = address)]
    agui_listen: Option<String>,
}

/// An address to listen on.
fn address(text: &str) -> Result<String, String> {
    match text.to_socket_addrs() {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(format!("{error}; give an address such as 127.0.0.1:8000")),
    }
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
    agui: AguiSettings,
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
            agui: AguiSettings {
                drain_time: DRAIN_TIME,
                ..AguiSettings::default()
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
        self.gateway.check()?;
        self.agui.check()
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
    /// The recorder of AG-UI agents failed.
    #[error(transparent)]
    Agui(#[from] ltm_agui::StartError),
}

impl Failure for DevError {
    fn is_wrong_setting(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Store(error) => error.is_wrong_setting(),
            Self::Agui(error) => error.is_wrong_setting(),
            Self::LocalRedis(_) | Self::Io(_) => false,
        }
    }
}

/// Runs both services until a signal.
pub(crate) fn run(args: &Args, token: Option<Token>) -> ExitCode {
    let arguments = Arguments {
        config: args.config.clone(),
        ..Arguments::default()
    };
    let listen = args.agui_listen.as_deref();
    ltm_service::run_with(
        &arguments,
        |settings: &mut DevSettings| agui::apply(&mut settings.agui, &args.agui_upstream, listen),
        |settings, tasks| develop(args, settings, token, tasks),
    )
}

async fn develop(
    args: &Args,
    mut settings: DevSettings,
    token: Option<Token>,
    tasks: Tasks,
) -> Result<(), DevError> {
    if !settings.redis.url.is_empty()
        || !settings.redis.sentinels.is_empty()
        || !settings.redis.cluster_nodes.is_empty()
    {
        return serve(&args.listen, settings, token, tasks).await;
    }
    let shutdown = tasks.shutdown().clone();
    let data_dir = args.data_dir.clone().map_or_else(default_data_dir, Ok)?;
    let mut redis = tokio::select! {
        started = LocalRedis::start(&data_dir) => started?,
        () = shutdown.begun() => return Ok(()),
    };
    tracing::info!(data = %data_dir.display(), log = %redis.log().display(), "started a Redis server");
    settings.redis.url = redis.url();
    let served = serve(&args.listen, settings, token, tasks);
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

/// The services on one port, and the recorder of AG-UI agents on another one.
async fn serve(
    listen: &str,
    settings: DevSettings,
    token: Option<Token>,
    tasks: Tasks,
) -> Result<(), DevError> {
    let shutdown = tasks.shutdown().clone();
    let recorder = record_agents(listen, &settings, token, tasks.clone());
    let (recording, recorded) = oneshot::channel::<()>();
    let recorder = Box::pin(async {
        let outcome = recorder.await;
        drop(recording);
        if outcome.is_err() {
            shutdown.begin();
        }
        outcome
    });
    // When the process stops, the recorder still writes the ends of its runs.
    let services = Box::pin(async {
        let outcome = serve_ltms(listen, settings, tasks, recorded.map(drop)).await;
        // If they could not start, the recorder must not wait for them.
        shutdown.begin();
        outcome
    });
    let (served, recorded) = tokio::join!(services, recorder);
    served.and(recorded)
}

/// Records the AG-UI agents of the settings, if there are any.
fn record_agents(
    listen: &str,
    settings: &DevSettings,
    token: Option<Token>,
    tasks: Tasks,
) -> impl Future<Output = Result<(), DevError>> + use<> {
    let mut recorder = ltm_agui::Settings::default();
    recorder.agui.clone_from(&settings.agui);
    recorder.http.clone_from(&settings.http);
    recorder.cors.clone_from(&settings.cors);
    // An address that stands for all addresses of this machine has no name that a client can use.
    let server = listen
        .replace("0.0.0.0", "127.0.0.1")
        .replace("[::]", "[::1]");
    async move {
        if recorder.agui.upstreams.is_empty() {
            return Ok(());
        }
        let server = format!("http://{server}").parse();
        let server: ServerUrl =
            server.map_err(|e: ServerUrlError| SettingError::new("--listen", e.to_string()))?;
        Ok(ltm_agui::serve(recorder, server, token, tasks).await?)
    }
}

/// Both services on one port.
async fn serve_ltms(
    listen: &str,
    settings: DevSettings,
    tasks: Tasks,
    recorded: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DevError> {
    let auth = Auth::new(&settings.auth, listen, tasks.spawner())?;
    let open = !auth.is_required();
    let redis = Redis::open_with(&settings.redis, tasks.spawner())?;
    log_start("server", &redis, &settings.tracing.endpoint).await;
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
    let stopped = gateway.clone().stopped();
    let stop = async {
        stopped.await;
        recorded.await;
    };
    let routes = move |config: &mut _| {
        ltm_api::configure(&api, config);
        ltm_gateway::configure(&gateway, config);
    };
    Ok(server.run(routes, stop).await?)
}
