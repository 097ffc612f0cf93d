//! `POST /ltm/{id}/errors`: records an error, or what became of it.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use ltm_docs::{problems::WriteProblems, schemas::RecordedError};
use ltm_service::ProblemResponse;
use ltm_state::json::Shape;
use ltm_types::{Cursor, LtmId};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Api,
    body_budget::Share,
    formats::{ITEM, Item, RETRIES, Retry},
    http::{
        body::{self, Body},
        write_call::{WriteHeaders, shown_answer, write_call},
    },
    writer::{ErrorReport, WriteError, check_text, reported_field, time},
};

/// What an engine reports about an error. A field that is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ErrorReport, example = json!({"id": "6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d", "reason": "execute", "retrying": true}))]
struct ErrorBody<'a> {
    /// Which error: a UUID that the producer chooses. Default: a new one; the answer has it.
    #[schema(value_type = Option<String>, format = "uuid")]
    id: Option<Uuid>,
    /// What failed. Default: `execute`.
    reason: Option<String>,
    /// What was executed.
    #[serde(borrow)]
    #[schema(value_type = Option<Item>)]
    item: Option<&'a RawValue>,
    /// The attempts since.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<Retry>>)]
    retries: Option<&'a RawValue>,
    /// Whether the engine is trying again. Default: false.
    retrying: Option<bool>,
    /// Whether an attempt succeeded. Default: false.
    success: Option<bool>,
    /// When (RFC 3339). Default: now.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// Ignored, as the next three: an error of a document can be sent back as it is.
    #[serde(default, rename = "ltm_id")]
    #[schema(value_type = Option<serde_json::Value>)]
    _ltm_id: IgnoredAny,
    /// Ignored.
    #[serde(default, rename = "created_at")]
    #[schema(value_type = Option<serde_json::Value>)]
    _created_at: IgnoredAny,
    /// Ignored.
    #[serde(default, rename = "updated_at")]
    #[schema(value_type = Option<serde_json::Value>)]
    _updated_at: IgnoredAny,
    /// Ignored.
    #[serde(default, rename = "traceparent")]
    #[schema(value_type = Option<serde_json::Value>)]
    _traceparent: IgnoredAny,
}

/// The answer to a report of an error.
#[derive(Serialize, ToSchema)]
struct Reported<'a> {
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The entry's cursor.
    #[schema(value_type = String)]
    cursor: Cursor,
    /// The error; null if it was recorded before and is no longer kept, or if the API has no memory for the answer.
    #[schema(value_type = Option<RecordedError>, required = true)]
    error: Option<&'a RawValue>,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/errors",
    tag = "History",
    summary = "Record an error, or what became of it",
    params(("id" = u64, Path, description = "The LTM's id", minimum = 1), WriteHeaders),
    request_body = ErrorBody,
    responses(
        (status = 200, description = "The error is in the log", body = Reported, headers(
            ("ETag" = String, description = "The cursor"),
            ("Idempotent-Replayed" = String, description = "`true` if this is the answer to an earlier request with this key"),
        )),
        WriteProblems,
    ),
)]
pub(crate) async fn record(
    request: HttpRequest,
    body: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let read = async |ltm_id, body: &mut Body| {
        let api_of_report = api.clone();
        let read = move |bytes: &[u8], _: &mut Share| {
            Ok(report(body::parse(bytes)?, ltm_id, &api_of_report)?)
        };
        body.read(&api, read).await
    };
    let (id, _, written) = write_call(
        &request,
        body::read(&request, body, &api),
        &api,
        Some(b"error"),
        read,
    )
    .await?;
    let answer = |error| Reported {
        id,
        cursor: written.cursor(),
        error,
    };
    Ok(shown_answer(&api, StatusCode::OK, id, &written, answer))
}

fn report(body: ErrorBody<'_>, ltm_id: LtmId, api: &Api) -> Result<ErrorReport, WriteError> {
    if let Some(reason) = &body.reason {
        check_text("reason", reason)?;
    }
    let max_depth = api.settings().limits().max_depth;
    Ok(ErrorReport {
        store: api.store().clone(),
        ltm_id,
        id: body.id.unwrap_or_else(Uuid::new_v4),
        reason: body.reason,
        item: reported_field("item", body.item, Shape::Any, &ITEM, max_depth)?,
        retries: reported_field("retries", body.retries, Shape::Array, &RETRIES, max_depth)?,
        retrying: body.retrying,
        success: body.success,
        time: time(body.time.as_deref())?,
    })
}
