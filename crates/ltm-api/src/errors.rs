//! `POST /ltm/{id}/errors`: records an error, or what became of it.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use ltm_docs::problems::WriteProblems;
use ltm_service::ProblemResponse;
use ltm_state::State;
use ltm_types::{Kind, LtmId, now};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::answers::Reported;
use crate::{
    Api,
    body::{self, Shape, carried},
    change, path,
    write::{Conditions, Draft, Written},
};

#[derive(Deserialize, ToSchema)]
#[schema(as = ErrorReport, example = json!({"id": "6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d", "reason": "execute", "retrying": true}))]
struct Body<'a> {
    /// Which error: a UUID of the producer's choice.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// What failed.
    reason: Option<String>,
    /// Of what.
    #[serde(borrow)]
    #[schema(value_type = Option<serde_json::Value>)]
    item: Option<&'a RawValue>,
    /// What was tried since.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    retries: Option<&'a RawValue>,
    /// Whether it is being tried again.
    retrying: Option<bool>,
    /// Whether that worked.
    success: Option<bool>,
    /// When: RFC 3339; now where it is left out.
    #[schema(format = DateTime)]
    time: Option<String>,
}

/// An error as it is kept and broadcast, in the order of fields of the reference.
#[derive(Serialize, Deserialize)]
struct Recorded {
    id: Uuid,
    ltm_id: LtmId,
    reason: String,
    item: Box<RawValue>,
    retries: Box<RawValue>,
    retrying: bool,
    success: bool,
    created_at: String,
    updated_at: String,
}

/// What a request says of an error; a field that it leaves out stays as it is.
struct Report {
    id: Uuid,
    reason: Option<String>,
    item: Option<Box<RawValue>>,
    retries: Option<Box<RawValue>>,
    retrying: Option<bool>,
    success: Option<bool>,
    time: Option<String>,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/errors",
    tag = "History",
    summary = "Record an error, or what became of it",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "Lands this write once, however often it is sent", min_length = 1, max_length = 255, nullable = false),
        ("If-Match" = Option<String>, Header, description = "Writes only where the LTM is at this cursor", nullable = false),
        ("Ltm-Producer" = Option<String>, Header, description = "`name;epoch=7`: once a higher epoch has written, a lower one is refused", nullable = false),
    ),
    request_body = Body,
    responses(
        (status = 200, description = "It is in the log", body = Reported, headers(
            ("ETag" = String, description = "The cursor"),
            ("Idempotent-Replayed" = String, description = "`true` where this is the answer to an earlier request with this key"),
        )),
        WriteProblems,
    ),
)]
pub(crate) async fn record(
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let bytes = body::read(&request, payload, &api).await?;
    let conditions = Conditions::of(&request, &[b"error", &bytes])?;
    let report = Report::read(body::parse(&bytes)?, api.settings().limits().max_depth)?;
    if let Some(written) = conditions.earlier(&api, id).await? {
        return Ok(answer(id, &written));
    }
    let draft = async |state: &mut State| report.draft(&api, id, state).await;
    let written = conditions.write(&api, id, draft).await?;
    Ok(answer(id, &written))
}

fn answer(id: LtmId, written: &Written) -> HttpResponse {
    let cursor = written.answer.cursor;
    let error = written.payload.as_deref().unwrap_or("null");
    let mut response = written.answer(StatusCode::OK);
    response.content_type("application/json").body(format!(
        r#"{{"id":{id},"cursor":"{cursor}","error":{error}}}"#
    ))
}

impl Report {
    fn read(body: Body<'_>, max_depth: usize) -> Result<Self, ProblemResponse> {
        let carry = |field, value: Option<&RawValue>, shape| {
            value
                .map(|value| carried(field, Some(value), "", shape, max_depth))
                .transpose()
        };
        Ok(Self {
            id: body.id,
            reason: body.reason,
            item: carry("item", body.item, Shape::Any)?,
            retries: carry("retries", body.retries, Shape::Array)?,
            retrying: body.retrying,
            success: body.success,
            time: body::time(body.time.as_deref())?,
        })
    }

    async fn draft(&self, api: &Api, id: LtmId, state: &State) -> Result<Draft, ProblemResponse> {
        let time = self.time.clone().unwrap_or_else(now);
        let mut error = match self.earlier(api, id, state).await? {
            Some(error) => error,
            None => Recorded {
                id: self.id,
                ltm_id: id,
                reason: "execute".into(),
                item: RawValue::NULL.to_owned(),
                retries: change::text(&[])?,
                retrying: false,
                success: false,
                created_at: time.clone(),
                updated_at: String::new(),
            },
        };
        error.updated_at = time;
        if let Some(reason) = &self.reason {
            error.reason.clone_from(reason);
        }
        if let Some(item) = &self.item {
            error.item.clone_from(item);
        }
        if let Some(retries) = &self.retries {
            error.retries.clone_from(retries);
        }
        error.retrying = self.retrying.unwrap_or(error.retrying);
        error.success = self.success.unwrap_or(error.success);
        Ok(Draft {
            kind: Kind::Error,
            payload: change::written(&error)?,
            snapshots_count: state.snapshots_count(),
            undo: None,
        })
    }

    /// The error as it was recorded last, where that is still kept.
    async fn earlier(
        &self,
        api: &Api,
        id: LtmId,
        state: &State,
    ) -> Result<Option<Recorded>, ProblemResponse> {
        let errors = state.index.errors();
        let Some(&(_, place)) = errors.iter().find(|(error, _)| *error == self.id) else {
            return Ok(None);
        };
        let entries = api.store().entries(id, &[place]).await?;
        Ok(entries
            .first()
            .and_then(|entry| serde_json::from_str(&entry.payload).ok()))
    }
}
