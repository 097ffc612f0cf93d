//! Serves files from the binary: the pages of the services and the files that the pages load.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETag, EntityTag, Header, IfNoneMatch},
    web::{self, Bytes, ServiceConfig},
};
use xxhash_rust::xxh3::xxh3_64;

/// A file to serve. Clones share the content.
#[derive(Clone)]
pub struct File {
    /// The media type: `text/html; charset=utf-8`.
    pub media_type: &'static str,
    /// The content.
    pub content: Bytes,
    /// The headers that say what a browser may do with it.
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
    let is_cached = is_cached(request, tag);
    let mut response = if is_cached {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(ETag(tag.clone()))
        // A browser stores the file and asks each time whether it has changed; an unchanged file costs a 304.
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    for (name, value) in file.headers {
        response.insert_header((*name, *value));
    }
    if is_cached {
        return response.finish();
    }
    response
        .content_type(file.media_type)
        .body(file.content.clone())
}

/// Whether the client has this content.
fn is_cached(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(held)) => held.iter().any(|it| it.weak_eq(tag)),
        Err(_) => false,
    }
}

/// The hash of the content. It is the same in every build.
fn tag(content: &[u8]) -> EntityTag {
    EntityTag::new_strong(format!("{:016x}", xxh3_64(content)))
}
