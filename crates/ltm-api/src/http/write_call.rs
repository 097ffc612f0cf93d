//! The frame of the calls that write to an LTM: headers and body in, one write, answer out.

use std::convert::Infallible;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{StatusCode, header},
};
use bytes::Bytes;
use futures_util::stream;
use ltm_service::ProblemResponse;
use ltm_store::{Idempotency, fingerprint};
use ltm_types::LtmId;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;

use super::{body::Body, headers, path};
use crate::{
    Api,
    reader::{LARGE, parts},
    writer::{Preconditions, Write, Written},
};

/// The headers of a call that writes to an LTM.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described: `write_call` reads the headers")]
pub(super) struct WriteHeaders {
    /// Lands this write once, however often it is sent
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        nullable = false
    )]
    idempotency_key: Option<String>,
    /// Writes only if the LTM is at this cursor
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
    /// `name;epoch=7`: once a higher epoch has written, writes of a lower one are rejected
    #[param(rename = "Ltm-Producer", nullable = false)]
    ltm_producer: Option<String>,
}

/// Carries out a call that appends entries: `read` makes the write of the body. `kind` keeps calls of different
/// kinds apart that have the same Idempotency-Key and body.
pub(super) async fn write_call<W: Write>(
    request: &HttpRequest,
    body: impl Future<Output = Result<Body, ProblemResponse>>,
    api: &Api,
    kind: Option<&[u8]>,
    read: impl AsyncFnOnce(LtmId, &mut Body) -> Result<W, ProblemResponse>,
) -> Result<(LtmId, W, Written), ProblemResponse> {
    let id = path::ltm_id(request)?;
    let mut body = body.await?;
    let content: Vec<&[u8]> = kind.into_iter().chain([&*body]).collect();
    let mut preconditions = preconditions(request, &content)?;
    let mut write = read(id, &mut body).await?;
    if let Some(base) = write.base() {
        preconditions.add_base(base)?;
    }
    let written = api.writer().write(id, &preconditions, &mut write).await?;
    Ok((id, write, written))
}

/// The conditions that the headers of a request set. `content` is what the request asks for.
pub(super) fn preconditions<'a>(
    request: &'a HttpRequest,
    content: &[&[u8]],
) -> Result<Preconditions<'a>, ProblemResponse> {
    Ok(Preconditions {
        if_match: headers::if_match(request)?,
        idempotency: headers::idempotency_key(request)?.map(|key| Idempotency {
            key,
            fingerprint: fingerprint(content),
        }),
        producer: headers::producer(request)?,
    })
}

/// The answer of a call that appended entries.
pub(super) fn written_answer(
    status: StatusCode,
    written: &Written,
    answer: &impl Serialize,
) -> HttpResponse {
    written_head(status, written).json(answer)
}

fn written_head(status: StatusCode, written: &Written) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::ETAG, format!("\"{}\"", written.cursor())));
    mark_replayed(&mut response, written.replayed);
    response
}

/// Says that an earlier request with the same Idempotency-Key has done what this one asks for.
pub(super) fn mark_replayed(response: &mut HttpResponseBuilder, replayed: bool) {
    if replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
}

/// As [`written_answer`], for a call whose answer shows the entry. Answers that share a large entry hold it once. If there is
/// no room for it, the answer is without it: the entry is in the log.
pub(super) fn shown_answer<'a, T: Serialize>(
    api: &Api,
    status: StatusCode,
    id: LtmId,
    written: &'a Written,
    answer: impl Fn(Option<&'a RawValue>) -> T,
) -> HttpResponse {
    let whole = answer(payload(written));
    if written.payload.as_ref().is_none_or(|it| it.len() < LARGE) {
        return written_answer(status, written, &whole);
    }
    let text = serde_json::to_vec(&whole).map(Bytes::from).ok();
    let text = text.and_then(|text| api.reader().write_answer(id, written.cursor(), text).ok());
    let Some(text) = text else {
        return written_answer(status, written, &answer(None));
    };
    let mut response = written_head(status, written);
    let (length, parts) = (text.len() as u64, parts(text).map(Ok::<_, Infallible>));
    response
        .content_type("application/json")
        .body(SizedStream::new(length, stream::iter(parts)))
}

/// The payload of an entry as it stands in an answer; null if the entry is no longer kept.
fn payload(written: &Written) -> Option<&RawValue> {
    // The services write JSON; an entry of another program that is not JSON is not shown.
    serde_json::from_str(written.payload.as_deref()?).ok()
}
