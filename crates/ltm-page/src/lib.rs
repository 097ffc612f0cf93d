//! Serves files from the binary: the pages of the services and the files that the pages load.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        self, AcceptEncoding, ContentEncoding, ETag, Encoding, EntityTag, Header, IfNoneMatch,
    },
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
    /// The same content, compressed.
    pub compressed: Compressed,
    /// The headers that say what a browser may do with it.
    pub headers: Arc<[(&'static str, String)]>,
}

/// The compressed forms of a file, as far as there are any.
#[derive(Clone, Default)]
pub struct Compressed {
    /// By Brotli. Browsers take it over TLS and from `localhost`.
    pub brotli: Option<Bytes>,
    /// By gzip.
    pub gzip: Option<Bytes>,
}

/// One form of a file, as it is sent.
#[derive(Clone)]
struct Form {
    encoding: ContentEncoding,
    content: Bytes,
    tag: EntityTag,
}

impl Form {
    fn new(encoding: ContentEncoding, content: Bytes) -> Self {
        // The hash is the same in every build.
        let tag = EntityTag::new_strong(format!("{:016x}", xxh3_64(&content)));
        Self {
            encoding,
            content,
            tag,
        }
    }
}

/// Mounts a file at `path`.
pub fn mount(config: &mut ServiceConfig, path: &str, file: File) {
    let forms = forms(&file);
    let serve = move |request: HttpRequest| {
        let answer = answer(&request, &file, &forms);
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

/// The forms of a file, the plain one first.
fn forms(file: &File) -> Vec<Form> {
    let Compressed { brotli, gzip } = file.compressed.clone();
    let compressed = [
        (ContentEncoding::Brotli, brotli),
        (ContentEncoding::Gzip, gzip),
    ];
    let compressed = compressed
        .into_iter()
        .filter_map(|(encoding, content)| Some(Form::new(encoding, content?)));
    std::iter::once(Form::new(ContentEncoding::Identity, file.content.clone()))
        .chain(compressed)
        .collect()
}

fn answer(request: &HttpRequest, file: &File, forms: &[Form]) -> HttpResponse {
    let form = chosen(request, forms);
    let is_cached = is_cached(request, &form.tag);
    let mut response = if is_cached {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(ETag(form.tag.clone()))
        // A browser stores the file and asks each time whether it has changed; an unchanged file costs a 304.
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    if forms.len() > 1 {
        response.insert_header((header::VARY, header::ACCEPT_ENCODING.as_str()));
    }
    for (name, value) in file.headers.iter() {
        response.insert_header((*name, value.as_str()));
    }
    if is_cached {
        return response.finish();
    }
    if form.encoding != ContentEncoding::Identity {
        response.insert_header(form.encoding);
    }
    response
        .content_type(file.media_type)
        .body(form.content.clone())
}

/// The form that the client likes best; the plain one if it does not say.
fn chosen<'a>(request: &HttpRequest, forms: &'a [Form]) -> &'a Form {
    let plain = &forms[0];
    let Ok(accepted) = AcceptEncoding::parse(request) else {
        return plain;
    };
    let encodings: Vec<Encoding> = forms
        .iter()
        .map(|form| Encoding::Known(form.encoding))
        .collect();
    let best = accepted.negotiate(encodings.iter());
    forms
        .iter()
        .find(|form| best == Some(Encoding::Known(form.encoding)))
        .unwrap_or(plain)
}

/// Whether the client has this content.
fn is_cached(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(held)) => held.iter().any(|it| it.weak_eq(tag)),
        Err(_) => false,
    }
}
