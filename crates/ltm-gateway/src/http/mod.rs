//! The endpoints of the gateway, from a request to a subscription.

mod agui;
mod api_paths;
pub(crate) mod handshake;
mod list_events;
mod list_socket;
mod ltm_socket;
mod multi_socket;
mod sse;

use actix_web::{
    Route,
    web::{self, ServiceConfig},
};
use ltm_service::method_not_allowed;

pub(crate) use api_paths::name_api;

use crate::{fanout::worker::Worker, gateway::Gateway};

/// Mounts the routes of the gateway. Call it once in each thread of a server: it starts the tasks of the thread.
pub fn configure(gateway: &Gateway, config: &mut ServiceConfig) {
    config.app_data(web::Data::new(Worker::start(gateway.clone())));
    let get = |path, handler: Route| {
        let others = web::to(|| async { method_not_allowed("GET") });
        web::resource(path).route(handler).default_service(others)
    };
    for base in ["", "/api/v0"] {
        // `ltms` is no id, so this route comes before `/ws/{id}`.
        config.service(get(
            format!("{base}/ws/ltms"),
            web::get().to(list_socket::follow),
        ));
        config.service(get(
            format!("{base}/ws/{{id}}"),
            web::get().to(ltm_socket::follow),
        ));
        config.service(get(
            format!("{base}/ws/by-key/{{fqn}}/{{key}}"),
            web::get().to(ltm_socket::follow),
        ));
        config.service(get(
            format!("{base}/ws"),
            web::get().to(multi_socket::follow),
        ));
        config.service(get(
            format!("{base}/sse/ltms"),
            web::get().to(list_events::follow),
        ));
        config.service(get(
            format!("{base}/sse/{{id}}"),
            web::get().to(sse::follow),
        ));
        config.service(get(
            format!("{base}/sse/by-key/{{fqn}}/{{key}}"),
            web::get().to(sse::follow),
        ));
        agui::configure(base, config);
    }
}
