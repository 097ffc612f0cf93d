//! `POST /ltm/{id}/snapshots`: appends a snapshot.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use bytestring::ByteString;
use ltm_docs::{problems::WriteProblems, schemas::Operation};
use ltm_service::ProblemResponse;
use ltm_state::{Change, Limits, State};
use ltm_types::{Entry, Kind, LtmId, Snapshot, now};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::answers::Appended;
use crate::{
    Api,
    body::{self, Shape, carried},
    change::{self, change_problem},
    path,
    write::{Conditions, Draft, Written},
};

/// What a snapshot is made of.
#[derive(Deserialize, ToSchema)]
#[schema(as = Append, example = json!({"reason": "execute", "merge": {"n": 1}}))]
pub(crate) struct Body<'a> {
    /// Why it was taken.
    reason: String,
    /// What was executed.
    #[serde(borrow)]
    #[schema(value_type = Option<serde_json::Value>)]
    item: Option<&'a RawValue>,
    /// What changed (RFC 6902). Exactly one of `patch`, `state` and `merge` has to be there.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<Operation>>)]
    patch: Option<&'a RawValue>,
    /// The whole new state.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    state: Option<&'a RawValue>,
    /// What changed (RFC 7396).
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    merge: Option<&'a RawValue>,
    /// The executions that it queued.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    execute_queue: Option<&'a RawValue>,
    /// The transitions that it queued.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    transitions_queue: Option<&'a RawValue>,
    /// When it was taken: RFC 3339; now where it is left out.
    #[schema(format = DateTime)]
    time: Option<String>,
}

/// A snapshot that is to be appended.
pub(crate) struct Step {
    pub(crate) reason: String,
    /// When it was taken, where that is not now.
    pub(crate) time: Option<String>,
    pub(crate) item: Box<RawValue>,
    pub(crate) execute_queue: Box<RawValue>,
    pub(crate) transitions_queue: Box<RawValue>,
    pub(crate) change: Change,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/snapshots",
    tag = "History",
    summary = "Append a snapshot: a step, and what it changed",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "Lands this write once, however often it is sent", min_length = 1, max_length = 255, nullable = false),
        ("If-Match" = Option<String>, Header, description = "Writes only where the LTM is at this cursor", nullable = false),
        ("Ltm-Producer" = Option<String>, Header, description = "`name;epoch=7`: once a higher epoch has written, a lower one is refused", nullable = false),
    ),
    request_body = Body,
    responses(
        (status = 201, description = "It is in the log", body = Appended, headers(
            ("ETag" = String, description = "The cursor"),
            ("Idempotent-Replayed" = String, description = "`true` where this is the answer to an earlier request with this key"),
        )),
        WriteProblems,
    ),
)]
pub(crate) async fn append(
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let bytes = body::read(&request, payload, &api).await?;
    let conditions = Conditions::of(&request, &[&bytes])?;
    let limits = api.settings().limits();
    let step = Step::read(body::parse(&bytes)?, &limits)?;
    // Looked up before the patch is tried, which no longer applies where it has landed.
    if let Some(written) = conditions.earlier(&api, id).await? {
        return Ok(answer(id, &written));
    }
    let draft = async |state: &mut State| step.draft(state, &limits);
    let written = conditions.write(&api, id, draft).await?;
    Ok(answer(id, &written))
}

/// The entry that a body of `POST /ltm/{id}/snapshots` makes of `state`, which moves on to it. Nothing
/// is read or written.
///
/// # Errors
///
/// The problem with which the request is refused; the state is then as it was.
pub fn snapshot_of(
    body: &[u8],
    state: &mut State,
    limits: &Limits,
) -> Result<Entry, ProblemResponse> {
    let draft = Step::read(body::parse(body)?, limits)?.draft(state, limits)?;
    let entry = Entry::after(state.position(), draft.kind, draft.payload);
    state.advance(&entry);
    Ok(entry)
}

fn answer(id: LtmId, written: &Written) -> HttpResponse {
    let cursor = written.answer.cursor;
    let index = written.answer.snapshots_count.saturating_sub(1);
    let snapshot = written.payload.as_deref().unwrap_or("null");
    let mut response = written.answer(StatusCode::CREATED);
    response.content_type("application/json").body(format!(
        r#"{{"id":{id},"cursor":"{cursor}","index":{index},"snapshot":{snapshot}}}"#
    ))
}

impl Step {
    /// Reads the fields of a body.
    pub(crate) fn read(body: Body<'_>, limits: &Limits) -> Result<Self, ProblemResponse> {
        let carry =
            |field, value, absent, shape| carried(field, value, absent, shape, limits.max_depth);
        Ok(Self {
            time: body::time(body.time.as_deref())?,
            item: carry("item", body.item, "null", Shape::Any)?,
            execute_queue: carry("execute_queue", body.execute_queue, "[]", Shape::Array)?,
            transitions_queue: carry(
                "transitions_queue",
                body.transitions_queue,
                "[]",
                Shape::Array,
            )?,
            change: Change::read(body.patch, body.state, body.merge, limits)
                .map_err(change_problem)?,
            reason: body.reason,
        })
    }

    /// Applies the change to the state that it meets.
    pub(crate) fn draft(
        &self,
        state: &mut State,
        limits: &Limits,
    ) -> Result<Draft, ProblemResponse> {
        let snapshots_count = state.snapshots_count() + 1;
        let (patch, undo) = self
            .change
            .apply(&mut state.tree, limits)
            .map_err(change_problem)?;
        Ok(Draft {
            kind: Kind::Snapshot,
            payload: self.payload(&patch)?,
            snapshots_count,
            undo: Some(undo),
        })
    }

    fn payload(&self, patch: &RawValue) -> Result<ByteString, ProblemResponse> {
        let snapshot = Snapshot {
            time: &self.time.clone().unwrap_or_else(now),
            reason: &self.reason,
            item: &self.item,
            patch,
            execute_queue: &self.execute_queue,
            transitions_queue: &self.transitions_queue,
        };
        change::written(&snapshot)
    }
}
