//! Serves files that are in the binary: the pages of the services, and what these load.

use std::hash::{DefaultHasher, Hasher};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETag, EntityTag, Header, IfNoneMatch},
    web::{self, Bytes, ServiceConfig},
};

/// A file that is served. Clones share the content.
#[derive(Clone)]
pub struct File {
    /// What it is: `text/html; charset=utf-8`.
    pub media_type: &'static str,
    /// What it holds.
    pub content: Bytes,
    /// What a browser may do with it.
    pub headers: &'static [(&'static str, &'static str)],
}

/// Mounts a file at `path`.
pub fn mount(config: &mut ServiceConfig, path: &str, file: File) {
    let tag = tag(&file.content);
    let serve = move |request: HttpRequest| {
        let answer = answer(&request, &file, &tag);
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

fn answer(request: &HttpRequest, file: &File, tag: &EntityTag) -> HttpResponse {
    let is_held = is_held(request, tag);
    let mut response = if is_held {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(ETag(tag.clone()))
        // Kept, and asked for again each time: a new version is seen at once, and costs a 304 until then.
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    for (name, value) in file.headers {
        response.insert_header((*name, *value));
    }
    if is_held {
        return response.finish();
    }
    response
        .content_type(file.media_type)
        .body(file.content.clone())
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
fn tag(content: &[u8]) -> EntityTag {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    EntityTag::new_strong(format!("{:016x}", hasher.finish()))
}
