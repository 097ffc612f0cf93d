//! The answers for the page and its files.

use actix_web::{
    App,
    body::{BoxBody, to_bytes},
    dev::ServiceResponse,
    http::{Method, StatusCode, header},
    test::{TestRequest, call_service, init_service},
};

use crate::Gateway;

/// The answer to a request with this header.
async fn answer(
    method: Method,
    path: &str,
    header: Option<(&str, &str)>,
) -> ServiceResponse<BoxBody> {
    answer_of(None, method, path, header).await
}

/// The answer of a server whose gateway is elsewhere.
async fn answer_of(
    gateway: Option<&Gateway>,
    method: Method,
    path: &str,
    header: Option<(&str, &str)>,
) -> ServiceResponse<BoxBody> {
    let app = App::new().configure(|config| crate::configure(config, gateway));
    let app = init_service(app).await;
    let mut request = TestRequest::with_uri(path).method(method);
    if let Some(header) = header {
        request = request.insert_header(header);
    }
    call_service(&app, request.to_request()).await
}

async fn get(path: &str) -> ServiceResponse<BoxBody> {
    answer(Method::GET, path, None).await
}

fn header_of<'a>(response: &'a ServiceResponse<BoxBody>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

async fn body_of(response: ServiceResponse<BoxBody>) -> Vec<u8> {
    to_bytes(response.into_body()).await.unwrap().to_vec()
}

#[actix_web::test]
async fn the_page_and_its_files_have_the_types_that_they_are() {
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/inspector/main.js", "text/javascript; charset=utf-8"),
        ("/inspector/style.css", "text/css; charset=utf-8"),
        ("/inspector/licences.txt", "text/plain; charset=utf-8"),
        ("/inspector/favicon.svg", "image/svg+xml"),
    ] {
        let response = get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header_of(&response, "content-type"), media_type, "{path}");
        assert!(!body_of(response).await.is_empty(), "{path}");
    }
}

#[actix_web::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    for path in ["/", "/inspector/main.js"] {
        let response = get(path).await;
        let policy = header_of(&response, "content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(rule), "{path}: {rule}");
        }
        for lax in ["unsafe", "*", "http:", "https:", "data:"] {
            assert!(!policy.contains(lax), "{path}: {lax}");
        }
        assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header_of(&response, "referrer-policy"), "no-referrer");
        assert_eq!(
            header_of(&response, "cross-origin-opener-policy"),
            "same-origin"
        );
    }
}

#[actix_web::test]
async fn the_page_has_no_script_or_style_in_it_and_loads_nothing_from_elsewhere() {
    let page = String::from_utf8(body_of(get("/").await).await).unwrap();
    for part in [
        "<style", "style=", " onload", "onclick", "http:", "https:", "//",
    ] {
        assert!(!page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains(r#"<script type="module" src="inspector/main.js"></script>"#));
}

#[actix_web::test]
async fn what_a_browser_has_is_not_sent_again() {
    for path in ["/", "/inspector/main.js"] {
        let first = get(path).await;
        assert_eq!(header_of(&first, "cache-control"), "no-cache");
        let tag = header_of(&first, "etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
        for held in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".into(),
        ] {
            let again = answer(Method::GET, path, Some(("if-none-match", &held))).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path} {held}");
            assert_eq!(header_of(&again, "etag"), tag);
            assert_eq!(header_of(&again, "x-content-type-options"), "nosniff");
            assert!(body_of(again).await.is_empty());
        }
        let other = answer(Method::GET, path, Some(("if-none-match", "\"other\""))).await;
        assert_eq!(other.status(), StatusCode::OK);
    }
    let tags = [get("/").await, get("/inspector/main.js").await];
    assert_ne!(
        header_of(&tags[0], "etag"),
        header_of(&tags[1], "etag"),
        "each file has its own"
    );
}

#[actix_web::test]
async fn a_file_is_compressed_as_the_browser_accepts_it() {
    let path = "/inspector/main.js";
    let plain = body_of(get(path).await).await;
    let mut tags = Vec::new();
    for (accepted, encoding) in [
        ("", ""),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0, gzip;q=0", ""),
        ("zstd", ""),
        ("identity", ""),
    ] {
        let response = answer(Method::GET, path, Some(("accept-encoding", accepted))).await;
        assert_eq!(
            header_of(&response, "content-encoding"),
            encoding,
            "{accepted}"
        );
        assert_eq!(header_of(&response, "vary"), "accept-encoding");
        assert!(header_of(&response, "content-type").starts_with("text/javascript"));
        let tag = header_of(&response, "etag").to_owned();
        let body = body_of(response).await;
        assert_eq!(body == plain, encoding.is_empty(), "{accepted}");
        assert!(encoding.is_empty() || body.len() < plain.len() / 2);
        tags.push((encoding, tag));
    }
    let of = |encoding| tags.iter().find(|(it, _)| *it == encoding).unwrap();
    assert_ne!(of("br").1, of("gzip").1, "each form has a tag of its own");
    assert_ne!(of("").1, of("gzip").1);
}

#[actix_web::test]
async fn only_what_is_there_can_be_read() {
    for path in [
        "/inspector",
        "/inspector/none.js",
        "/inspector/../Cargo.toml",
        "/main.js",
    ] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let refused = answer(Method::POST, "/", None).await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header_of(&refused, header::ALLOW.as_str()), "GET, HEAD");
    let head = answer(Method::HEAD, "/", None).await;
    assert_eq!(head.status(), StatusCode::OK);
}

#[actix_web::test]
async fn the_page_names_a_gateway_elsewhere_and_may_connect_to_it_alone() {
    let page = String::from_utf8(body_of(get("/").await).await).unwrap();
    assert!(page.contains(crate::NO_GATEWAY), "{page}");
    let gateway = Gateway {
        url: "https://live.example.com/ltm/".into(),
        origin: "https://live.example.com".into(),
        socket_origin: "wss://live.example.com".into(),
    };
    let response = answer_of(Some(&gateway), Method::GET, "/", None).await;
    let policy = header_of(&response, "content-security-policy");
    assert!(
        policy.ends_with("connect-src 'self' https://live.example.com wss://live.example.com"),
        "{policy}"
    );
    let tag = header_of(&response, "etag").to_owned();
    assert_ne!(tag, header_of(&get("/").await, "etag"));
    let page = String::from_utf8(body_of(response).await).unwrap();
    assert!(
        page.contains(r#"<meta name="ltm-gateway" content="https://live.example.com/ltm/">"#),
        "{page}"
    );
}
