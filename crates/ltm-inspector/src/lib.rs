//! The inspector: a page that shows LTMs live, in the browser, with all that it needs in this binary.
//!
//! [`configure`] mounts it in a server. The page is the same for everybody and holds no data: what it shows
//! it asks the API and the gateway for, as any other client does.

mod assets;
mod policy;

use std::hash::{DefaultHasher, Hasher};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETag, EntityTag, Header, IfNoneMatch},
    web::{self, ServiceConfig},
};

use assets::{ASSETS, Asset, PAGE};

/// Where the files are that the page loads; the page itself is at `/`.
pub const FOLDER: &str = "/inspector";

/// Mounts the page and its files.
pub fn configure(config: &mut ServiceConfig) {
    mount(config, "/", &PAGE);
    for asset in ASSETS {
        mount(config, &format!("{FOLDER}/{}", asset.name), asset);
    }
}

fn mount(config: &mut ServiceConfig, path: &str, asset: &'static Asset) {
    let tag = tag(asset);
    let serve = move |request: HttpRequest| {
        let answer = answer(&request, asset, &tag);
        async move { answer }
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

fn answer(request: &HttpRequest, asset: &Asset, tag: &EntityTag) -> HttpResponse {
    let mut response = if is_held(request, tag) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(ETag(tag.clone()))
        // Kept, and asked for again each time: a new version is seen at once, and costs a 304 until then.
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    for (name, value) in policy::HEADERS {
        response.insert_header((*name, *value));
    }
    if is_held(request, tag) {
        return response.finish();
    }
    response.content_type(asset.media_type).body(asset.content)
}

/// Whether the client has this very content.
fn is_held(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(held)) => held.iter().any(|it| it.weak_eq(tag)),
        Err(_) => false,
    }
}

/// The content's hash: two builds of the same files agree on it.
fn tag(asset: &Asset) -> EntityTag {
    let mut hasher = DefaultHasher::new();
    hasher.write(asset.content.as_bytes());
    EntityTag::new_strong(format!("{:016x}", hasher.finish()))
}
