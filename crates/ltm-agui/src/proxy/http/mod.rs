//! The calls of the recorder. `/agui/{fqn}/{key}` and below is for any AG-UI client, the rest is what CopilotKit calls.

mod body;
mod copilot;
mod page;
mod reading;
mod recorded_events;
mod running;

use actix_web::web::{self, ServiceConfig};
use ltm_service::method_not_allowed;

use super::recorder_service::RecorderService;

/// Mounts the calls in a server.
pub(super) fn configure(service: &RecorderService, config: &mut ServiceConfig) {
    config.app_data(web::Data::new(service.clone()));
    let post = |path: &str, route: actix_web::Route| {
        let others = web::to(|| async { method_not_allowed("POST") });
        web::resource(path).route(route).default_service(others)
    };
    config
        .service(web::resource("/agui/info").route(web::get().to(copilot::info)))
        .service(post(
            "/agui/agent/{agent}/run",
            web::post().to(copilot::run),
        ))
        .service(post(
            "/agui/agent/{agent}/connect",
            web::post().to(copilot::connect),
        ))
        .service(post(
            "/agui/agent/{agent}/stop/{thread}",
            web::post().to(copilot::stop),
        ))
        .service(post("/agui", web::post().to(copilot::single)))
        .service(post("/agui/{fqn}", web::post().to(running::run_thread)))
        .service(
            web::resource("/agui/{fqn}/{key}")
                .route(web::post().to(running::run))
                .route(web::get().to(reading::follow))
                .default_service(web::to(|| async { method_not_allowed("GET, POST") })),
        )
        .service(post(
            "/agui/{fqn}/{key}/stop",
            web::post().to(running::stop),
        ))
        .service(post(
            "/agui/{fqn}/{key}/events",
            web::post().to(recorded_events::record),
        ));
}
