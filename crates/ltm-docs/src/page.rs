//! The page and the descriptions, as they are served.

use actix_web::{
    HttpResponse,
    http::header,
    web::{self, Bytes, ServiceConfig},
};

use crate::asyncapi;

/// Where the files are that the page loads; the page itself is at `/docs`.
pub const FOLDER: &str = "/docs";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const JSON: &str = "application/json";

/// What a browser may do with the page. Swagger UI draws its icons from `data:`, and sets styles on elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Mounts the page, and beside its files the two descriptions: `openapi.json`, which is `openapi`, and `asyncapi.json`.
pub fn configure(config: &mut ServiceConfig, openapi: String) {
    let file = |name: &str| format!("{FOLDER}/{name}");
    let folder: [(&str, &str, &'static str); 5] = [
        ("docs.js", SCRIPT, include_str!("../assets/docs.js")),
        ("docs.css", STYLE, include_str!("../assets/docs.css")),
        (
            "swagger-ui-bundle.js",
            SCRIPT,
            include_str!("../assets/swagger-ui-bundle.js"),
        ),
        (
            "swagger-ui.css",
            STYLE,
            include_str!("../assets/swagger-ui.css"),
        ),
        (
            "swagger-ui-license.txt",
            "text/plain; charset=utf-8",
            include_str!("../assets/LICENSE"),
        ),
    ];
    mount(
        config,
        FOLDER,
        HTML,
        include_str!("../assets/docs.html").into(),
    );
    for (name, media_type, content) in folder {
        mount(config, &file(name), media_type, content.into());
    }
    mount(config, &file("openapi.json"), JSON, openapi.into());
    let events = asyncapi().to_string();
    mount(config, &file("asyncapi.json"), JSON, events.into());
}

fn mount(config: &mut ServiceConfig, path: &str, media_type: &'static str, content: Bytes) {
    let serve = move || {
        let content = content.clone();
        async move {
            HttpResponse::Ok()
                .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
                .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .insert_header((header::REFERRER_POLICY, "no-referrer"))
                // Kept, and asked for again each time: a new version is seen at once.
                .insert_header((header::CACHE_CONTROL, "no-cache"))
                .content_type(media_type)
                .body(content)
        }
    };
    let refuse = || async {
        HttpResponse::MethodNotAllowed()
            .insert_header((header::ALLOW, "GET, HEAD"))
            .finish()
    };
    let resource = web::resource(path)
        .route(web::get().to(serve.clone()))
        .route(web::head().to(serve))
        .default_service(web::to(refuse));
    config.service(resource);
}
