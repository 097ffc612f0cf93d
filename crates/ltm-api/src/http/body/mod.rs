//! Reading the body of a request.

mod inflate;

use std::ops::Deref;

use actix_web::{HttpMessage, HttpRequest, error::PayloadError, web::Payload};
use bytes::Bytes;
use futures_util::StreamExt;
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind, shorten};
use serde::Deserialize;
use tokio::{task::yield_now, time::timeout};

use self::inflate::Inflate;
use super::malformed::malformed;
use crate::{Api, body_budget::Share, object::Object, settings::bytes};

/// A body. Its share of the budget is returned when it is dropped.
pub(crate) struct Body {
    bytes: Bytes,
    share: Share,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body {
    /// Reads the body with `read`, on another thread if it is large. `read` adds the memory of what it reads to the
    /// share of the body.
    pub(crate) async fn read<T: Send + 'static>(
        &mut self,
        api: &Api,
        read: impl FnOnce(&[u8], &mut Share) -> Result<T, ProblemResponse> + Send + 'static,
    ) -> Result<T, ProblemResponse> {
        let (bytes, mut share) = (self.bytes.clone(), self.share.another());
        let work = move || (read(&bytes, &mut share), share);
        let (read, share) = api.json_work().run(self.len(), work).await?;
        self.share.join(share);
        read
    }

    /// The memory of the body and of what was read from it.
    pub(crate) fn memory(&self) -> usize {
        self.share.bytes()
    }
}

/// The media type of a body with a JSON value in each line.
pub(crate) const LINES: &str = "application/x-ndjson";

/// Whether the body is declared to have a JSON value in each line.
pub(crate) fn has_lines(request: &HttpRequest) -> bool {
    request.content_type().eq_ignore_ascii_case(LINES)
}

/// Reads a body that is declared as JSON, within the limits of size and time.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    api: &Api,
) -> Result<Body, ProblemResponse> {
    let declared = request.content_type().to_ascii_lowercase();
    if declared != "application/json"
        && !(declared.starts_with("application/") && declared.ends_with("+json"))
    {
        let detail = format!(
            "the body is declared as {:?}; send Content-Type: application/json",
            shorten(&declared)
        );
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail)
            .with_field("Content-Type")
            .into());
    }
    read_undeclared(request, payload, api).await
}

/// Reads a body that is declared as JSON, or as lines of JSON, within the limits of size and time.
pub(crate) async fn read_lines(
    request: &HttpRequest,
    payload: Payload,
    api: &Api,
) -> Result<Body, ProblemResponse> {
    if has_lines(request) {
        return read_undeclared(request, payload, api).await;
    }
    read(request, payload, api).await
}

async fn read_undeclared(
    request: &HttpRequest,
    payload: Payload,
    api: &Api,
) -> Result<Body, ProblemResponse> {
    let inflate = Inflate::of(request)?;
    let limit = api.settings().body_timeout;
    let late = |_| {
        api.limits().hit("api.body_timeout");
        let detail = format!("the body did not arrive within {limit:?} (api.body_timeout)");
        ProblemResponse(Problem::new(ProblemKind::RequestTimeout, detail))
    };
    let read = async {
        match inflate {
            None => collect(payload, api).await,
            Some(inflate) => collect_inflated(payload, inflate, api).await,
        }
    };
    timeout(limit, read).await.map_err(late)?
}

async fn collect(mut payload: Payload, api: &Api) -> Result<Body, ProblemResponse> {
    let mut collected = Collected::new(api);
    while let Some(chunk) = payload.next().await {
        collected.add(&chunk.map_err(ended_early)?)?;
    }
    Ok(collected.body())
}

/// Collects a compressed body. Neither its text nor what arrives may be larger than a body may be: a small body can
/// become a thousand times as large, and a large one can become nothing.
async fn collect_inflated(
    mut payload: Payload,
    mut inflate: Inflate,
    api: &Api,
) -> Result<Body, ProblemResponse> {
    let (mut collected, mut arrived) = (Collected::new(api), 0);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(ended_early)?;
        arrived += chunk.len();
        check_size(arrived, api)?;
        for slice in chunk.chunks(inflate::SLICE) {
            let part = inflate.inflate(slice)?;
            collected.add(&part)?;
            if part.len() > inflate::SLICE * 16 {
                yield_now().await;
            }
        }
    }
    collected.add(&inflate.finish()?)?;
    Ok(collected.body())
}

fn ended_early(error: PayloadError) -> ProblemResponse {
    let detail = format!("the body ended early: {error}");
    Problem::new(ProblemKind::InvalidRequest, detail).into()
}

/// What has arrived of a body.
struct Collected<'a> {
    bytes: Vec<u8>,
    share: Share,
    api: &'a Api,
}

impl<'a> Collected<'a> {
    fn new(api: &'a Api) -> Self {
        Self {
            bytes: Vec::new(),
            share: api.body_budget().share(),
            api,
        }
    }

    fn add(&mut self, part: &[u8]) -> Result<(), ProblemResponse> {
        check_size(self.bytes.len() + part.len(), self.api)?;
        self.share.add(part.len())?;
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    fn body(self) -> Body {
        Body {
            bytes: self.bytes.into(),
            share: self.share,
        }
    }
}

fn check_size(size: usize, api: &Api) -> Result<(), ProblemResponse> {
    let max = api.settings().max_body;
    if size <= bytes(max) {
        return Ok(());
    }
    api.limits().hit("api.max_body");
    let detail = format!("the body is larger than {max} (api.max_body)");
    Err(Problem::new(ProblemKind::BodyTooLarge, detail).into())
}

/// Reads the fields of a body. The error names the wrong field.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ProblemResponse> {
    parse_text(text(body)?)
}

/// The body as text. The parser does not check strings that are passed through.
pub(crate) fn text(body: &[u8]) -> Result<&str, ProblemResponse> {
    std::str::from_utf8(body).map_err(|e| {
        let detail = format!("the body is not UTF-8: byte {} is invalid", e.valid_up_to());
        ProblemResponse(Problem::new(ProblemKind::InvalidRequest, detail))
    })
}

/// Reads the fields of a body that is text. The error names the wrong field.
pub(crate) fn parse_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ProblemResponse> {
    // Only a malformed body pays for tracking where the parser is.
    if let Ok(Object(read)) = serde_json::from_str(text) {
        return Ok(read);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Object(read) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|e| malformed(text, &e.path().to_string(), e.inner()))?;
    deserializer.end().map_err(|e| malformed(text, ".", &e))?;
    Ok(read)
}
