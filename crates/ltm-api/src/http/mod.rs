//! The HTTP API: paths, calls, and the answers to errors.

mod authorize;
mod batch;
mod body;
mod calls;
mod gateway_paths;
mod gateway_url;
mod headers;
mod malformed;
mod openapi;
mod path;
mod problem;
mod schemas;
mod write_call;

use actix_web::{
    Resource,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use ltm_service::method_not_allowed;

pub use calls::append::snapshot_of;
use calls::{
    append, copy, create,
    credentials::{revocations, ticket},
    delete, document, errors, list,
    rollbacks::{page, rollback},
    snapshots, state, wait,
};
pub(crate) use gateway_paths::name_gateway;
pub(crate) use gateway_url::gateway_of;

use crate::Api;

/// Mounts the routes of the API, and the inspector and the interface descriptions if the settings ask for them.
pub fn configure(api: &Api, config: &mut ServiceConfig) {
    config.app_data(web::Data::new(api.clone()));
    for route in ROUTES {
        route.serve(route.path, config);
    }
    for route in ROUTES {
        if let Some(path) = path::by_key(route.path) {
            route.serve(&path, config);
        }
    }
    if api.settings().inspector {
        // The settings were checked.
        let gateway = gateway_of(&api.settings().gateway_url).ok().flatten();
        ltm_inspector::configure(config, gateway.as_ref());
    }
    if api.settings().docs {
        ltm_docs::configure(config, openapi::openapi());
    }
}

/// A path of the API.
struct Route {
    path: &'static str,
    /// The methods that it answers to, as the header `Allow` spells them.
    allow: &'static str,
    mount: fn(Resource) -> Resource,
    /// Whether the caller is checked before the call.
    guarded: bool,
}

impl Route {
    /// Mounts the route at a path.
    fn serve(&self, path: &str, config: &mut ServiceConfig) {
        let allow = self.allow;
        let others = web::to(move || async move { method_not_allowed(allow) });
        let resource = (self.mount)(web::resource(path)).default_service(others);
        if self.guarded {
            config.service(resource.wrap(from_fn(authorize::check)));
        } else {
            config.service(resource);
        }
    }
}

const fn route(path: &'static str, allow: &'static str, mount: fn(Resource) -> Resource) -> Route {
    Route {
        path,
        allow,
        mount,
        guarded: true,
    }
}

/// Every path of the API. [`path::by_key`] makes another one of each with an id. The router tries them in this order: the most frequent first.
const ROUTES: &[Route] = &[
    route("/api/v0/ltm/{id}/snapshots", "GET, POST", |it| {
        it.get(snapshots::snapshots).post(append::append)
    }),
    // `counts` is no id, so this path comes before `{id}`.
    route("/api/v0/ltm/counts", "GET", |it| it.get(list::counts)),
    route("/api/v0/ltm/{id}", "GET, DELETE", |it| {
        it.get(document::document).delete(delete::delete)
    }),
    route("/api/v0/ltm", "GET, POST", |it| {
        it.get(list::list).post(create::create)
    }),
    route("/api/v0/ltm/{id}/state", "GET", |it| it.get(state::state)),
    route("/api/v0/ltm/{id}/wait", "GET", |it| it.get(wait::wait)),
    route("/api/v0/ltm/{id}/rollback", "POST", |it| {
        it.post(rollback::rollback)
    }),
    route("/api/v0/ltm/{id}/rollbacks", "GET", |it| {
        it.get(page::rollbacks)
    }),
    route("/api/v0/ltm/{id}/errors", "POST", |it| {
        it.post(errors::record)
    }),
    route("/api/v0/ltm/{id}/copy", "POST", |it| it.post(copy::copy)),
    route("/api/v0/revocations", "DELETE, GET, POST", |it| {
        it.get(revocations::revocations)
            .post(revocations::revoke)
            .delete(revocations::lift)
    }),
    Route {
        // The call itself needs the credential.
        guarded: false,
        ..route("/api/v0/ws-ticket", "POST", |it| it.post(ticket::ticket))
    },
];
