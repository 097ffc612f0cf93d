//! What the gateway answers at the paths of the API, if the API is another process.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, ServiceConfig},
};
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};

/// The paths of the API: its calls, the inspector, and the descriptions of its interfaces.
const PATHS: [&str; 5] = [
    "/",
    "/api/v0/{rest:.*}",
    "/inspector/{rest:.*}",
    "/docs",
    "/docs/{rest:.*}",
];

/// Mounts the paths of the API. Each answers that this is the gateway. Leave it out if the API has them.
pub(crate) fn name_api(config: &mut ServiceConfig) {
    for path in PATHS {
        config.route(path, web::to(not_here));
    }
}

async fn not_here(request: HttpRequest) -> Result<HttpResponse, ProblemResponse> {
    let detail = format!(
        "this is the gateway, and {} is a path of the API: call the port of the API, or put a proxy in front of both \
         services",
        request.path()
    );
    Err(Problem::new(ProblemKind::NotFound, detail).into())
}
