//! What the API answers at the paths of the gateway, if the gateway is another process.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, ServiceConfig},
};
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};

use crate::Api;

/// Mounts the paths of the gateway. Each answers that this is the API. Leave it out if the gateway has them.
pub(crate) fn name_gateway(api: &Api, config: &mut ServiceConfig) {
    let url = api.settings().gateway_url.clone();
    for base in ["", "/api/v0"] {
        for path in [
            "/ws",
            "/ws/{rest:.*}",
            "/sse/{rest:.*}",
            "/agui",
            "/agui/{rest:.*}",
        ] {
            let url = url.clone();
            let answer = move |request: HttpRequest| {
                let answer = not_here(request.path(), &url);
                async move { answer }
            };
            config.route(&format!("{base}{path}"), web::to(answer));
        }
    }
}

fn not_here(path: &str, url: &str) -> Result<HttpResponse, ProblemResponse> {
    let advice = if url.is_empty() {
        "call the port of the gateway, or put a proxy in front of both services; for the inspector, set \
         `api.gateway_url` to the URL of the gateway"
            .to_owned()
    } else {
        format!("the gateway is at {url}")
    };
    let detail = format!("this is the API, and {path} is a path of the gateway: {advice}");
    Err(Problem::new(ProblemKind::NotFound, detail).into())
}
