//! `POST /ltm/{id}/snapshots`: appends a snapshot.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytestring::ByteString;
use ltm_service::ProblemResponse;
use ltm_store::{Answer, Append, AppendError, Idempotency, Producer, fingerprint};
use ltm_types::{Cursor, Entry, Kind, LtmId, Problem, ProblemKind, Snapshot, now};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Api,
    body::{self, Shape, carried},
    change::Change,
    headers, query,
    states::Turn,
};

/// How often a request that others overtake is tried.
const CONFLICT_TRIES: u32 = 64;

#[derive(Deserialize)]
struct Body<'a> {
    reason: String,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    patch: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    merge: Option<&'a RawValue>,
    #[serde(borrow)]
    execute_queue: Option<&'a RawValue>,
    #[serde(borrow)]
    transitions_queue: Option<&'a RawValue>,
}

/// A snapshot that is to be appended, and under which conditions.
struct Step<'a> {
    reason: &'a str,
    item: Box<RawValue>,
    execute_queue: Box<RawValue>,
    transitions_queue: Box<RawValue>,
    change: Change,
    if_match: Option<Vec<Cursor>>,
    idempotency: Option<Idempotency<'a>>,
    producer: Option<Producer>,
}

/// What was appended, now or by an earlier request.
struct Appended {
    answer: Answer,
    snapshot: Option<ByteString>,
    replayed: bool,
}

pub(crate) async fn append(
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = query::ltm_id(&request)?;
    let key = headers::idempotency_key(&request)?;
    let if_match = headers::if_match(&request)?;
    let producer = headers::producer(&request)?;
    let bytes = body::read(&request, payload, api.settings()).await?;
    let idempotency = key.map(|key| Idempotency {
        key,
        fingerprint: fingerprint(&[&bytes]),
    });
    let body: Body<'_> = body::parse(&bytes)?;
    let limits = api.settings().limits();
    let carry =
        |field, value, absent, shape| carried(field, value, absent, shape, limits.max_depth);
    let step = Step {
        reason: &body.reason,
        item: carry("item", body.item, "null", Shape::Any)?,
        execute_queue: carry("execute_queue", body.execute_queue, "[]", Shape::Array)?,
        transitions_queue: carry(
            "transitions_queue",
            body.transitions_queue,
            "[]",
            Shape::Array,
        )?,
        change: Change::read(body.patch, body.state, body.merge, &limits)?,
        if_match,
        idempotency,
        producer,
    };
    // Looked up before the patch is tried, which no longer applies where it has landed.
    if let Some(idempotency) = idempotency
        && let Some(answer) = api
            .store()
            .remembered(id, idempotency)
            .await
            .map_err(refusal)?
    {
        return replay(&api, id, answer)
            .await
            .map(|appended| answer_with(id, appended));
    }
    let appended = api
        .states()
        .with(id, async |turn| step.append(&api, id, turn).await)
        .await?;
    Ok(answer_with(id, appended))
}

async fn replay(api: &Api, id: LtmId, answer: Answer) -> Result<Appended, ProblemResponse> {
    let entry = api.store().entry(id, answer.cursor).await?;
    Ok(Appended {
        answer,
        snapshot: entry.map(|entry| entry.payload),
        replayed: true,
    })
}

fn answer_with(id: LtmId, appended: Appended) -> HttpResponse {
    let Answer { cursor, index } = appended.answer;
    let snapshot = appended.snapshot.as_deref().unwrap_or("null");
    let mut response = HttpResponse::Created();
    response
        .insert_header((header::ETAG, format!("\"{cursor}\"")))
        .content_type("application/json");
    if appended.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    response.body(format!(
        r#"{{"id":{id},"cursor":"{cursor}","index":{index},"snapshot":{snapshot}}}"#
    ))
}

impl Step<'_> {
    /// Applies the change to the state that it meets, and appends what comes of it; where others
    /// were quicker, again to what they left.
    async fn append(
        &self,
        api: &Api,
        id: LtmId,
        mut turn: Turn<'_>,
    ) -> Result<Appended, ProblemResponse> {
        let limits = api.settings().limits();
        let mut state = turn.take().await?;
        let mut current = false;
        for _ in 0..CONFLICT_TRIES {
            let position = state.position();
            let refused = match self.expects(position) {
                Ok(()) => self.change.apply(&mut state.tree, &limits),
                Err(problem) => Err(problem),
            };
            let (patch, undo) = match refused {
                Ok(applied) => applied,
                // What is held here may be old: only the state in Redis can refuse.
                Err(_) if !current => {
                    state = turn.refresh(state).await?;
                    current = true;
                    continue;
                }
                Err(problem) => {
                    turn.put(state);
                    return Err(problem);
                }
            };
            let now = now();
            let entry = Entry::after(position, Kind::Snapshot, self.payload(&now, &patch)?);
            let index = state.snapshots_count;
            let append = Append {
                entry: &entry,
                expected: position,
                now: &now,
                snapshots_count: index + 1,
                idempotency: self.idempotency,
                producer: self.producer.as_ref(),
            };
            match api.store().append(id, &append).await {
                Ok(()) => {
                    state.advance(&entry);
                    turn.put(state);
                    let answer = Answer {
                        cursor: entry.cursor,
                        index,
                    };
                    return Ok(Appended {
                        answer,
                        snapshot: Some(entry.payload),
                        replayed: false,
                    });
                }
                Err(AppendError::Conflict { .. }) => {
                    state.tree.undo(undo);
                    state = turn.refresh(state).await?;
                    current = true;
                }
                // Whether it landed is not known: the next request reads from Redis.
                Err(AppendError::Store(error)) => return Err(error.into()),
                Err(AppendError::Duplicate(answer)) => {
                    state.tree.undo(undo);
                    turn.put(state);
                    return replay(api, id, answer).await;
                }
                Err(error) => {
                    state.tree.undo(undo);
                    turn.put(state);
                    return Err(refusal(error));
                }
            }
        }
        turn.put(state);
        let detail =
            format!("others wrote to LTM {id} {CONFLICT_TRIES} times meanwhile; try again");
        Err(Problem::new(ProblemKind::Busy, detail).into())
    }

    /// Whether the request may be carried out at `position`.
    fn expects(&self, position: Cursor) -> Result<(), ProblemResponse> {
        match &self.if_match {
            Some(cursors) if !cursors.contains(&position) => {
                let detail = format!(
                    "the LTM is at {position}, which If-Match does not name; read it again"
                );
                Err(Problem::new(ProblemKind::CursorMismatch, detail)
                    .with_cursor(position)
                    .into())
            }
            _ => Ok(()),
        }
    }

    fn payload(&self, time: &str, patch: &RawValue) -> Result<ByteString, ProblemResponse> {
        let snapshot = Snapshot {
            time,
            reason: self.reason.into(),
            item: &self.item,
            patch,
            execute_queue: &self.execute_queue,
            transitions_queue: &self.transitions_queue,
        };
        let text = serde_json::to_string(&snapshot).map_err(|e| {
            Problem::new(
                ProblemKind::Internal,
                format!("a snapshot cannot be written: {e}"),
            )
        })?;
        Ok(text.into())
    }
}

fn refusal(error: AppendError) -> ProblemResponse {
    let detail = error.to_string();
    match error {
        AppendError::Conflict { current } => Problem::new(ProblemKind::Busy, detail)
            .with_cursor(current)
            .into(),
        AppendError::Duplicate(_) | AppendError::KeyReused => {
            Problem::new(ProblemKind::KeyReused, detail)
                .with_field("Idempotency-Key")
                .into()
        }
        AppendError::Fenced { .. } => Problem::new(ProblemKind::Fenced, detail)
            .with_field("Ltm-Producer")
            .into(),
        AppendError::TooManyProducers => Problem::new(ProblemKind::InvalidRequest, detail)
            .with_field("Ltm-Producer")
            .into(),
        AppendError::Store(error) => error.into(),
    }
}
