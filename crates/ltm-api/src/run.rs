//! The whole service.

use ltm_auth::Auth;
use ltm_service::{Metrics, Readiness, RunError, Server, Tasks, log_start};
use ltm_store::{Inspector, Redis};

use crate::{Api, Settings, configure, http::name_gateway};

/// Runs the service until the shutdown of `tasks` begins.
///
/// # Errors
///
/// [`RunError`] if a setting cannot be used, or the address cannot be listened on.
pub async fn run(settings: Settings, tasks: Tasks) -> Result<(), RunError> {
    let shutdown = tasks.shutdown().clone();
    let auth = Auth::new(&settings.auth, &settings.api.listen, tasks.spawner())?;
    let open = !auth.is_required();
    let redis = Redis::open_with(&settings.redis, tasks.spawner())?;
    log_start("API", &redis, &settings.tracing.endpoint).await;
    tasks.spawn("revocations", auth.clone().watch(redis.clone()));
    let mut metrics = Metrics::new();
    let api = Api::new(
        redis.clone(),
        settings.api.clone(),
        settings.retention,
        auth,
        metrics.limits().clone(),
        shutdown.clone(),
    );
    tasks.spawn("retention", api.clone().retain());
    tasks.spawn("list check", api.clone().check_lists());
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
        open,
        readiness,
        metrics,
        drain_time: settings.api.drain_time,
        write_stall: settings.api.write_stall,
    };
    let routes = move |config: &mut _| {
        configure(&api, config);
        name_gateway(&api, config);
    };
    server
        .run(routes, async move { shutdown.begun().await })
        .await?;
    Ok(())
}
