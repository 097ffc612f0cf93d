//! Compressed answers (RFC 9110 section 8.4.1): on `GET`, for clients that accept them.
//!
//! The middleware of the HTTP framework is not enough: its encoders take up to 8 MiB for an answer that a client does
//! not read, and it compresses answers of any size, with the strong `ETag` of the plain text.

mod body;
mod codec;
mod counts;
pub(crate) mod shared;

use std::sync::Arc;

use actix_web::{
    Error, HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, AcceptEncoding, HeaderMap, HeaderValue},
    },
    middleware::Next,
    web,
};
use ltm_settings::bytes;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    body::{Begun, Compressed},
    codec::Codec,
    counts::Counts,
    shared::{NoPermit, SharedBody, SharedContent},
};
use super::{head::is_head, settings::HttpSettings, vary::vary_by};
use crate::telemetry::limits_hit::LimitsHit;

/// The media types of answers that are texts and come to an end. Event streams are not among them, and neither are lines
/// of JSON: a client waits for each line.
const TEXTS: [&str; 8] = [
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
];

/// What the answers of a process share that are compressed.
pub(crate) struct Compression {
    is_on: bool,
    /// The smallest answer that is compressed, in bytes.
    least: usize,
    permits: Arc<Semaphore>,
    counts: Counts,
    limits: LimitsHit,
}

impl Compression {
    pub(crate) fn new(settings: &HttpSettings, limits: LimitsHit) -> Self {
        let most = settings.max_compressions.min(Semaphore::MAX_PERMITS);
        Self {
            is_on: settings.compression,
            least: bytes(settings.compression_min),
            permits: Arc::new(Semaphore::new(most)),
            counts: Counts::default(),
            limits,
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.counts.register(registry);
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, NoPermit> {
        let permit = self.permits.clone().try_acquire_owned();
        permit.map_err(|_| {
            self.limits.hit("http.max_compressions");
            NoPermit
        })
    }

    /// The compressed form of content that answers share; `None` if there is no room for it.
    async fn share(
        &self,
        codec: Codec,
        content: &SharedContent,
    ) -> Result<Option<SharedBody>, NoPermit> {
        let form = content.compressed(codec, || self.permit()).await?;
        if let Some(form) = &form {
            self.counts.read(content.len());
            self.counts.sent(form.len());
        }
        Ok(form)
    }

    /// Compresses the body, if a permit is free.
    fn compress(&self, codec: Codec, body: Begun) -> Result<Compressed, Begun> {
        let Ok(permit) = self.permit() else {
            return Err(body);
        };
        match codec.encoder() {
            Ok(encoder) => Ok(Compressed::new(body, encoder, self.counts.clone(), permit)),
            Err(error) => {
                tracing::warn!(%error, "an answer is sent without compression");
                Err(body)
            }
        }
    }
}

/// The middleware that compresses answers. It is inside of the one that answers HEAD, so that HEAD gets the same headers.
pub(crate) async fn compress(
    compression: web::Data<Compression>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !compression.is_on || request.method() != Method::GET {
        return next.call(request).await;
    }
    let accepted = request.get_header::<AcceptEncoding>();
    let codec = accepted.and_then(|accepted| Codec::preferred(&accepted));
    let mut response = next.call(request).await?;
    if !can_be_compressed(&response) {
        return Ok(response);
    }
    vary_by(response.headers_mut(), header::ACCEPT_ENCODING);
    let Some(codec) = codec else {
        return Ok(response);
    };
    if response.status() == StatusCode::NOT_MODIFIED {
        weaken(response.headers_mut());
        return Ok(response);
    }
    let is_small = match response.response().body().size() {
        BodySize::None => true,
        BodySize::Sized(size) => size < compression.least as u64,
        BodySize::Stream => false,
    };
    if is_small {
        return Ok(response);
    }
    let (answer, body) = response.into_parts();
    let shared = body.extensions().get::<Arc<SharedContent>>().cloned();
    let (mut head, body) = body.into_parts();
    if let Some(shared) = shared.filter(|shared| shared.len() >= compression.least)
        && !is_head(&answer)
    {
        match compression.share(codec, &shared).await {
            Ok(Some(form)) => {
                mark(head.headers_mut(), codec);
                let response = head.set_body(BoxBody::new(form));
                return Ok(ServiceResponse::new(answer, response));
            }
            Err(NoPermit) => return Ok(ServiceResponse::new(answer, head.set_body(body))),
            // It is compressed for this answer alone.
            Ok(None) => {}
        }
    }
    let begun = Begun::read(body, compression.least).await;
    let body = if begun.len() < compression.least {
        match begun.whole() {
            Ok(whole) => BoxBody::new(whole),
            Err(broken) => BoxBody::new(broken),
        }
    } else {
        let compressed = if is_head(&answer) {
            // Its body is not read.
            Ok(BoxBody::new(begun))
        } else {
            compression.compress(codec, begun).map(BoxBody::new)
        };
        match compressed {
            Ok(body) => {
                mark(head.headers_mut(), codec);
                body
            }
            Err(plain) => BoxBody::new(plain),
        }
    };
    Ok(ServiceResponse::new(answer, head.set_body(body)))
}

/// Whether it depends on the client if the answer is compressed.
fn can_be_compressed(response: &ServiceResponse) -> bool {
    let headers = response.headers();
    let is_text = || {
        let media_type = headers.get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|it| it.to_str().ok());
        let media_type = media_type.and_then(|it| it.split(';').next());
        media_type.is_some_and(|it| TEXTS.contains(&it.trim()))
    };
    let is_fixed = headers.get(header::CACHE_CONTROL).is_some_and(|control| {
        let control = control.to_str().unwrap_or_default();
        control.contains("no-transform")
    });
    match response.status() {
        StatusCode::OK => is_text() && !is_fixed && !headers.contains_key(header::CONTENT_ENCODING),
        // It concerns an answer that the client has, of any kind.
        StatusCode::NOT_MODIFIED => true,
        _ => false,
    }
}

/// Makes the headers those of the compressed answer.
fn mark(headers: &mut HeaderMap, codec: Codec) {
    let name = HeaderValue::from_static(codec.name());
    headers.insert(header::CONTENT_ENCODING, name);
    headers.remove(header::CONTENT_LENGTH);
    weaken(headers);
}

/// Makes the validator a weak one: the bytes differ from those of the plain answer, and the meaning does not.
fn weaken(headers: &mut HeaderMap) {
    let tag = headers.get(header::ETAG).map(HeaderValue::as_bytes);
    let strong = tag.filter(|tag| tag.starts_with(b"\""));
    let weak = strong.map(|tag| [b"W/", tag].concat());
    if let Some(Ok(weak)) = weak.map(|tag| HeaderValue::from_bytes(&tag)) {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App, HttpResponse,
        middleware::from_fn,
        test::{TestRequest, call_service, init_service, read_body},
        web::Bytes,
    };

    use super::*;

    #[actix_web::test]
    async fn shared_content_without_a_permit_is_sent_as_it_is_and_hits_the_limit_once() {
        let settings = HttpSettings {
            max_compressions: 0,
            ..HttpSettings::default()
        };
        let limits = LimitsHit::default();
        let compression = Compression::new(&settings, limits.clone());
        let answer = || async {
            let keep = |text: Vec<u8>| Some(Bytes::from(text));
            let parts = vec![Bytes::from(vec![b'a'; 4096])];
            let content = Arc::new(SharedContent::new(parts, Box::new(keep)));
            content.answer(HttpResponse::Ok().content_type("text/plain"))
        };
        let app = App::new()
            .app_data(web::Data::new(compression))
            .wrap(from_fn(compress))
            .route("/", web::get().to(answer));
        let app = init_service(app).await;
        let request = TestRequest::get()
            .uri("/")
            .insert_header((header::ACCEPT_ENCODING, "gzip"));
        let response = call_service(&app, request.to_request()).await;
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(read_body(response).await, vec![b'a'; 4096]);
        assert_eq!(limits.counts(), [("http.max_compressions", 1)]);
    }
}
