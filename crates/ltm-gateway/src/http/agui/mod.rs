//! `/agui`: LTMs for the clients of AG-UI, and the paths of a CopilotKit runtime.

mod copilotkit;
mod follow;
mod input;
mod sieve;

use actix_web::{
    Route,
    web::{self, ServiceConfig},
};
use ltm_service::method_not_allowed;

/// Mounts the routes below this path.
pub(super) fn configure(base: &str, config: &mut ServiceConfig) {
    let mut mount = |path: &str, allow: &'static str, routes: Vec<Route>| {
        let others = web::to(move || async move { method_not_allowed(allow) });
        let resource = web::resource(format!("{base}/agui{path}"));
        let resource = routes
            .into_iter()
            .fold(resource, |it, route| it.route(route));
        config.service(resource.default_service(others));
    };
    mount("", "POST", vec![web::post().to(copilotkit::single)]);
    mount("/info", "GET", vec![web::get().to(copilotkit::info)]);
    mount(
        "/agent/{agentId}/connect",
        "POST",
        vec![web::post().to(copilotkit::connect)],
    );
    mount(
        "/agent/{agentId}/run",
        "POST",
        vec![web::post().to(copilotkit::run)],
    );
    mount(
        "/agent/{agentId}/stop/{threadId}",
        "POST",
        vec![web::post().to(copilotkit::stop)],
    );
    mount(
        "/stop/{threadId}",
        "POST",
        vec![web::post().to(copilotkit::stop)],
    );
    // `info` and `stop` are neither id nor class here, so these paths come last.
    for path in ["/{id}", "/{fqn}/{key}"] {
        let routes = vec![
            web::get().to(follow::follow),
            web::post().to(follow::follow),
        ];
        mount(path, "GET, POST", routes);
    }
}
