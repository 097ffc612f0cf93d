//! Reading the body of a request.

use actix_web::{
    HttpMessage, HttpRequest,
    web::{Bytes, Payload},
};
use ltm_service::{ProblemResponse, limit_reached};
use ltm_store::json::{self, TextError};
use ltm_types::{Problem, ProblemKind, canonical_time};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::{ApiSettings, settings::bytes};

/// Reads a body that is declared as JSON, within the limits of size and time.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    settings: &ApiSettings,
) -> Result<Bytes, ProblemResponse> {
    let declared = request.content_type().to_ascii_lowercase();
    if declared != "application/json"
        && !(declared.starts_with("application/") && declared.ends_with("+json"))
    {
        let detail =
            format!("the body is declared as {declared:?}; send Content-Type: application/json");
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail)
            .with_field("Content-Type")
            .into());
    }
    let late = |_| {
        limit_reached("api.body_timeout");
        let detail = format!(
            "the body did not arrive within {:?} (api.body_timeout)",
            settings.body_timeout
        );
        ProblemResponse(Problem::new(ProblemKind::RequestTimeout, detail))
    };
    let too_large = |_| {
        limit_reached("api.max_body");
        let detail = format!(
            "the body is larger than {} (api.max_body)",
            settings.max_body
        );
        ProblemResponse(Problem::new(ProblemKind::BodyTooLarge, detail))
    };
    timeout(
        settings.body_timeout,
        payload.to_bytes_limited(bytes(settings.max_body)),
    )
    .await
    .map_err(late)?
    .map_err(too_large)?
    .map_err(|e| {
        Problem::new(
            ProblemKind::InvalidRequest,
            format!("the body broke off: {e}"),
        )
        .into()
    })
}

/// Reads the fields of a body; a field that is wrong is named.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ProblemResponse> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|e| {
        let field = e.path().to_string();
        let problem = Problem::new(ProblemKind::InvalidRequest, e.inner().to_string());
        ProblemResponse(if field == "." {
            problem
        } else {
            problem.with_field(field)
        })
    })?;
    deserializer
        .end()
        .map_err(|e| ProblemResponse(Problem::new(ProblemKind::InvalidRequest, e.to_string())))?;
    Ok(read)
}

/// The field `time`, in the one spelling that entries have.
pub(crate) fn time(text: Option<&str>) -> Result<Option<String>, ProblemResponse> {
    text.map(canonical_time).transpose().map_err(|e| {
        Problem::new(ProblemKind::InvalidRequest, format!("`time`: {e}"))
            .with_field("time")
            .into()
    })
}

/// What a field of JSON must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Any,
    Object,
    Array,
}

/// The text of a field that is carried as it is: checked, and without white space. `absent` stands
/// for a field that was left out or null.
pub(crate) fn carried(
    field: &str,
    value: Option<&RawValue>,
    absent: &str,
    shape: Shape,
    max_depth: usize,
) -> Result<Box<RawValue>, ProblemResponse> {
    let text = value.map_or(absent, RawValue::get);
    let right = match shape {
        Shape::Any => true,
        Shape::Object => text.starts_with('{') || text == absent,
        Shape::Array => text.starts_with('['),
    };
    let wrong =
        |kind, detail: String| ProblemResponse(Problem::new(kind, detail).with_field(field));
    if !right {
        let what = if shape == Shape::Array {
            "an array"
        } else {
            "an object"
        };
        return Err(wrong(
            ProblemKind::InvalidRequest,
            format!("`{field}` must be {what}"),
        ));
    }
    let text = json::compact(text, max_depth).map_err(|e| match e {
        TextError::TooDeep { .. } => wrong(ProblemKind::StateTooLarge, format!("`{field}` is {e}")),
        TextError::LoneSurrogate(..) => {
            wrong(ProblemKind::InvalidRequest, format!("`{field}` holds {e}"))
        }
    })?;
    RawValue::from_string(text)
        .map_err(|e| wrong(ProblemKind::InvalidRequest, format!("`{field}`: {e}")))
}
