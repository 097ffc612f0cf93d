//! The page at `/docs`, its files, and the two documents.

use actix_web::{
    HttpResponse,
    http::header,
    web::{self, Bytes, ServiceConfig},
};
use ltm_page::{Compressed, File, mount};

use crate::asyncapi;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const JSON: &str = "application/json";

/// The headers of every response.
const HEADERS: &[(&str, &str)] = &[
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
];

/// Only files of this server, and the empty `data:` icon.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! file {
    ($path:literal, $type:ident, $name:literal) => {
        ($path, $type, include_str!(concat!("../assets/", $name)))
    };
}

/// The page and its files: path, media type and content.
const FILES: &[(&str, &str, &str)] = &[
    file!("/docs", HTML, "docs.html"),
    file!("/docs/docs.css", STYLE, "docs.css"),
    file!("/docs/docs.js", SCRIPT, "docs.js"),
    file!("/docs/channels.js", SCRIPT, "channels.js"),
    file!("/docs/calls.js", SCRIPT, "calls.js"),
    file!("/docs/schemas.js", SCRIPT, "schemas.js"),
    file!("/docs/attempt.js", SCRIPT, "attempt.js"),
    file!("/docs/search.js", SCRIPT, "search.js"),
    file!("/docs/storage.js", SCRIPT, "storage.js"),
    file!("/docs/elements.js", SCRIPT, "elements.js"),
];

/// Mounts the page at `/docs`, to which `/docs/` leads, and next to its files the documents `openapi.json` (which is `openapi`) and
/// `asyncapi.json`.
pub fn configure(config: &mut ServiceConfig, openapi: String) {
    let descriptions = [
        ("/docs/openapi.json", openapi),
        ("/docs/asyncapi.json", asyncapi().to_string()),
    ];
    for (path, content) in descriptions {
        serve(config, path, JSON, content.into());
    }
    // Its links are relative: under another address they would lead elsewhere.
    config.service(web::resource("/docs/").to(|| async {
        HttpResponse::PermanentRedirect()
            .insert_header((header::LOCATION, "../docs"))
            .finish()
    }));
    for (path, media_type, content) in FILES {
        serve(
            config,
            path,
            media_type,
            Bytes::from_static(content.as_bytes()),
        );
    }
}

fn serve(config: &mut ServiceConfig, path: &str, media_type: &'static str, content: Bytes) {
    let file = File {
        media_type,
        content,
        compressed: Compressed::default(),
        headers: HEADERS
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
    };
    mount(config, path, file);
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App,
        http::{StatusCode, header},
        test::{TestRequest, call_service, init_service},
    };

    use super::*;

    #[actix_web::test]
    async fn the_page_has_one_address_and_a_slash_at_its_end_leads_there() {
        let app = App::new().configure(|config| configure(config, "{}".to_owned()));
        let app = init_service(app).await;
        let request = TestRequest::with_uri("/docs/").to_request();
        let answer = call_service(&app, request).await;
        assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(answer.headers().get(header::LOCATION).unwrap(), "../docs");
        let request = TestRequest::with_uri("/docs").to_request();
        assert_eq!(call_service(&app, request).await.status(), StatusCode::OK);
    }
}
