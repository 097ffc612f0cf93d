//! The whole service, from its settings to its end.

use std::time::Duration;

use ltm_auth::Auth;
use ltm_service::{Metrics, RunError, Server, Tasks, log_start};
use ltm_store::Redis;

use crate::{
    gateway::Gateway,
    http::{configure, name_api},
    settings::Settings,
};

/// Runs the service until the shutdown of `tasks` begins.
///
/// # Errors
///
/// If a setting is not valid, or the service cannot listen on its address.
pub async fn run(settings: Settings, tasks: Tasks) -> Result<(), RunError> {
    let auth = Auth::new(&settings.auth, &settings.gateway.listen, tasks.spawner())?;
    let open = !auth.is_required();
    let redis = Redis::open_with(&settings.redis, tasks.spawner())?;
    log_start("gateway", &redis, &settings.tracing.endpoint).await;
    tasks.spawn("revocations", auth.clone().watch(redis.clone()));
    let mut metrics = Metrics::new();
    redis.metrics().register(metrics.registry());
    let gateway = Gateway::new(
        redis,
        settings.gateway.clone(),
        auth,
        tasks,
        metrics.limits().clone(),
    );
    gateway.register(metrics.registry());
    let server = Server {
        listen: settings.gateway.listen,
        http: settings.http,
        origins: settings.cors.origins,
        open,
        readiness: gateway.readiness(),
        metrics,
        drain_time: Duration::from_secs(1),
        write_stall: settings.gateway.write_stall,
    };
    let stop = gateway.clone().stopped();
    let routes = move |config: &mut _| {
        configure(&gateway, config);
        name_api(config);
    };
    server.run(routes, stop).await?;
    Ok(())
}
