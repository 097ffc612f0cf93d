//! Writing an entry to an LTM's log: the same for snapshots, rollbacks and errors.

use std::time::Instant;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use bytestring::ByteString;
use ltm_service::{ProblemResponse, Span};
use ltm_state::{State, patch};
use ltm_store::{Answer, Append, AppendError, Idempotency, Producer, fingerprint};
use ltm_types::{Cursor, Entry, Kind, LtmId, Problem, ProblemKind, now};

use crate::{Api, headers, states::Turn};

/// How often a request that others overtake is tried.
const CONFLICT_TRIES: u32 = 64;

/// Under which conditions to write.
pub(crate) struct Conditions<'a> {
    if_match: Option<Vec<Cursor>>,
    idempotency: Option<Idempotency<'a>>,
    producer: Option<Producer>,
}

/// What is to be appended, made for the state that it meets.
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) payload: ByteString,
    /// The LTM's snapshots once it is written.
    pub(crate) snapshots_count: u64,
    /// How the state becomes what it was.
    pub(crate) undo: Option<patch::Undo>,
}

/// What was written, now or by an earlier request.
pub(crate) struct Written {
    pub(crate) answer: Answer,
    /// The entry's payload; absent where it is no longer kept.
    pub(crate) payload: Option<ByteString>,
    pub(crate) replayed: bool,
}

impl Written {
    /// The begin of the answer: where the LTM is, and whether it was there before.
    pub(crate) fn answer(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        response.insert_header((header::ETAG, format!("\"{}\"", self.answer.cursor)));
        if self.replayed {
            response.insert_header(("Idempotent-Replayed", "true"));
        }
        response
    }
}

impl<'a> Conditions<'a> {
    /// What the headers of a request say; `content` stands for what it asks.
    pub(crate) fn of(request: &'a HttpRequest, content: &[&[u8]]) -> Result<Self, ProblemResponse> {
        let key = headers::idempotency_key(request)?;
        Ok(Self {
            if_match: headers::if_match(request)?,
            idempotency: key.map(|key| Idempotency {
                key,
                fingerprint: fingerprint(content),
            }),
            producer: headers::producer(request)?,
        })
    }

    /// What an earlier request with the same Idempotency-Key wrote.
    pub(crate) async fn earlier(
        &self,
        api: &Api,
        id: LtmId,
    ) -> Result<Option<Written>, ProblemResponse> {
        let Some(idempotency) = self.idempotency else {
            return Ok(None);
        };
        match api.store().remembered(id, idempotency).await {
            Ok(None) => Ok(None),
            Ok(Some(answer)) => replay(api, id, answer).await.map(Some),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Writes what `draft` makes of the state, at `time`; where others were quicker, what it makes
    /// of the state that they left.
    pub(crate) async fn write(
        &self,
        api: &Api,
        id: LtmId,
        draft: impl AsyncFn(&mut State) -> Result<Draft, ProblemResponse>,
    ) -> Result<Written, ProblemResponse> {
        let began = Instant::now();
        let write = async |turn: Turn<'_>| self.in_turn(api, id, turn, &draft, began).await;
        api.states().with(id, write).await
    }

    async fn in_turn(
        &self,
        api: &Api,
        id: LtmId,
        mut turn: Turn<'_>,
        draft: &impl AsyncFn(&mut State) -> Result<Draft, ProblemResponse>,
        began: Instant,
    ) -> Result<Written, ProblemResponse> {
        let mut state = turn.take().await?;
        let mut current = false;
        for _ in 0..CONFLICT_TRIES {
            let position = state.position();
            let drafted = match self.expects(position) {
                Ok(()) => draft(&mut state).await,
                Err(problem) => Err(problem),
            };
            let draft = match drafted {
                Ok(draft) => draft,
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
            let mut span = Span::redis("EVALSHA", "append");
            let payload = carried(span.as_ref(), draft.payload);
            let entry = Entry::after(position, draft.kind, payload);
            let snapshots_count = draft.snapshots_count;
            let undo = |state: &mut State| {
                if let Some(undo) = draft.undo {
                    state.tree.undo(undo);
                }
            };
            let append = Append {
                entry: &entry,
                expected: position,
                now: &now(),
                snapshots_count,
                status: state.status(),
                idempotency: self.idempotency,
                producer: self.producer.as_ref(),
            };
            let appended = api.store().append(id, &append).await;
            if let (Some(span), Err(error)) = (&mut span, &appended) {
                span.failed(&error.to_string());
            }
            drop(span);
            match appended {
                Ok(()) => {
                    api.metrics()
                        .appended(&entry.kind, entry.payload.len(), began.elapsed());
                    state.advance(&entry);
                    turn.put(state);
                    let answer = Answer {
                        cursor: entry.cursor,
                        snapshots_count,
                    };
                    return Ok(Written {
                        answer,
                        payload: Some(entry.payload),
                        replayed: false,
                    });
                }
                Err(AppendError::Conflict { .. }) => {
                    api.metrics().conflict();
                    undo(&mut state);
                    state = turn.refresh(state).await?;
                    current = true;
                }
                // Whether it landed is not known: the next request reads from Redis.
                Err(AppendError::Store(error)) => return Err(error.into()),
                Err(AppendError::Duplicate(answer)) => {
                    undo(&mut state);
                    turn.put(state);
                    return replay(api, id, answer).await;
                }
                Err(error) => {
                    undo(&mut state);
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
            Some(cursors) if !cursors.contains(&position) => Err(mismatch(position)),
            _ => Ok(()),
        }
    }
}

/// The refusal of a request whose `If-Match` does not name where the LTM is.
pub(crate) fn mismatch(position: Cursor) -> ProblemResponse {
    let detail = format!("the LTM is at {position}, which If-Match does not name; read it again");
    Problem::new(ProblemKind::CursorMismatch, detail)
        .with_cursor(position)
        .into()
}

/// The payload, which says the trace that it belongs to where that is recorded.
pub(crate) fn carried(span: Option<&Span>, payload: ByteString) -> ByteString {
    match span.and_then(Span::parent) {
        Some(parent) => parent.put_into(&payload),
        None => payload,
    }
}

async fn replay(api: &Api, id: LtmId, answer: Answer) -> Result<Written, ProblemResponse> {
    let entry = api.store().entry(id, answer.cursor).await?;
    Ok(Written {
        answer,
        payload: entry.map(|entry| entry.payload),
        replayed: true,
    })
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
