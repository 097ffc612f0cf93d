//! The whole service, from its settings to its end.

use std::time::Duration;

use ltm_client::{ListFilter, ProblemKind, ServerUrl, Token};
use ltm_service::{Metrics, Readiness, Server, Tasks, VERSION};
use tokio::time::sleep;

use super::{
    Settings, StartError, http::configure, lost_runs::end_lost_runs,
    recorder_service::RecorderService, thread_log,
};

/// How long a client may accept no byte.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// The pause between two questions to services that cannot be reached yet.
const START_PAUSE: Duration = Duration::from_millis(500);

/// Records agents until the shutdown of `tasks` begins. `server` is the address of the API and the gateway, `token` the
/// credential with which the recorder writes.
///
/// # Errors
///
/// A setting cannot be used, the recorder would be open to strangers, or it cannot listen on its address.
pub async fn serve(
    settings: Settings,
    server: ServerUrl,
    token: Option<Token>,
    tasks: Tasks,
) -> Result<(), StartError> {
    let shutdown = tasks.shutdown().clone();
    let metrics = Metrics::new();
    let (agui, limits) = (settings.agui, metrics.limits().clone());
    let service = RecorderService::new(agui.clone(), server.clone(), token, tasks.clone(), limits)?;
    let open = agui.open || agui.is_local();
    if !open {
        tokio::select! {
            refused = strangers_are_refused(&server) => refused?,
            () = shutdown.begun() => return Ok(()),
        }
    }
    tasks.spawn("lost AG-UI runs", end_lost_runs(service.clone()));
    let stopping = shutdown.clone();
    let http_server = Server {
        listen: agui.listen,
        http: settings.http,
        origins: settings.cors.origins,
        open,
        readiness: Readiness::new(shutdown, || async { Ok(Vec::new()) }),
        metrics,
        drain_time: Duration::from_secs(1),
        write_stall: WRITE_STALL,
    };
    let agents: Vec<&str> = service.agent_ids().collect();
    tracing::info!(version = VERSION, services = %server, agents = ?agents, "starting the recorder");
    let routes = {
        let service = service.clone();
        move |config: &mut _| configure(&service, config)
    };
    http_server
        .run(routes, async move { stopping.begun().await })
        .await?;
    service.runs().drain(agui.drain_time).await;
    Ok(())
}

/// Waits until the services answer, and checks that they refuse a caller without a credential.
async fn strangers_are_refused(server: &ServerUrl) -> Result<(), StartError> {
    let stranger = thread_log::client(server.clone(), None)?;
    loop {
        match stranger.list(&ListFilter::default(), 1, None).await {
            Ok(_) => return Err(StartError::Open(server.clone())),
            Err(error) if error.is(ProblemKind::Unauthenticated) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "cannot ask the services whether callers need a credential; retrying");
                sleep(START_PAUSE).await;
            }
        }
    }
}
