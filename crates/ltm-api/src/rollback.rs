//! `POST /ltm/{id}/rollback`: goes back to a snapshot, or undoes a rollback.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use json_patch::PatchOperation;
use ltm_docs::problems::WriteProblems;
use ltm_service::ProblemResponse;
use ltm_state::{HistoryIndex, State, diff, patch::Tree};
use ltm_types::{Cursor, Kind, LtmId, Problem, ProblemKind, Rollback, RollbackChange, now};
use serde::Deserialize;
use serde_json::{Map, json};
use utoipa::ToSchema;

use crate::answers::RolledBack;
use crate::{
    Api,
    body::{self, Object},
    change,
    known::{Known, despite_trims},
    path,
    write::{Conditions, Draft, Written},
};

#[derive(Deserialize, ToSchema)]
#[schema(as = RollbackTo, example = json!({"snapshot": {"index": 0}}))]
struct Body {
    /// Where to go back to.
    #[schema(value_type = Option<ToSnapshot>)]
    snapshot: Option<Object<ToSnapshot>>,
    /// The rollback to undo, where no snapshot is named.
    #[schema(value_type = Option<Undone>)]
    rollback: Option<Object<Undone>>,
    /// When it was made: RFC 3339; now where it is left out.
    #[schema(format = DateTime)]
    time: Option<String>,
}

/// A snapshot to go back to.
#[derive(Deserialize, ToSchema)]
struct ToSnapshot {
    /// It is the last that is kept.
    index: u64,
    /// It is about to be taken again: those before it are kept.
    #[serde(default)]
    #[schema(required = false)]
    replay: bool,
}

/// A rollback to undo.
#[derive(Deserialize, ToSchema)]
struct Undone {
    /// Its place among all of the LTM, from 0.
    index: u64,
}

/// Where to go back to.
#[derive(Clone, Copy)]
enum Target {
    /// The snapshot with this index is the last that is kept.
    Snapshot(u64),
    /// The snapshot with this index is about to be taken again: those before it are kept.
    Replay(u64),
    /// What this rollback took out.
    Undo(u64),
}

/// What the LTM goes back to.
struct Earlier {
    tree: Tree,
    snapshots_count: u64,
    /// The rollbacks there were when it was looked up: an index means the same until the next.
    rollbacks_count: u64,
    /// Where the log was then.
    at: Cursor,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/rollback",
    tag = "History",
    summary = "Go back to a snapshot, or undo a rollback",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "Lands this write once, however often it is sent", min_length = 1, max_length = 255, nullable = false),
        ("If-Match" = Option<String>, Header, description = "Writes only where the LTM is at this cursor", nullable = false),
        ("Ltm-Producer" = Option<String>, Header, description = "`name;epoch=7`: once a higher epoch has written, a lower one is refused", nullable = false),
    ),
    request_body = Body,
    responses(
        (status = 200, description = "It is so", body = RolledBack, headers(
            ("ETag" = String, description = "The cursor"),
            ("Idempotent-Replayed" = String, description = "`true` where this is the answer to an earlier request with this key"),
        )),
        WriteProblems,
    ),
)]
pub(crate) async fn rollback(
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let bytes = body::read(&request, payload, &api).await?;
    let conditions = Conditions::of(&request, &[b"rollback", &bytes])?;
    let body: Body = body::parse(&bytes)?;
    let time = body::time(body.time.as_deref())?.unwrap_or_else(now);
    let target = Target::read(&body)?;
    if let Some(written) = conditions.earlier(&api, id).await? {
        return Ok(answer(id, target, &written));
    }
    // Looked up before it is this request's turn, because it may be far back.
    let find = async || target.find(&api, Known::of(&api, id).await?).await;
    let earlier = despite_trims(find).await?;
    let draft = async |state: &mut State| {
        if earlier.holds(&api, id, state).await? {
            return target.draft(state, &earlier, &time);
        }
        let find = async || target.find(&api, Known::from(&api, id, state).await?).await;
        let earlier = despite_trims(find).await?;
        target.draft(state, &earlier, &time)
    };
    let written = conditions.write(&api, id, draft).await?;
    Ok(answer(id, target, &written))
}

fn answer(id: LtmId, target: Target, written: &Written) -> HttpResponse {
    let cursor = written.answer.cursor;
    written.answer(StatusCode::OK).json(json!({
        "success": true,
        "id": id,
        "cursor": cursor,
        "snapshot_index": target.snapshot_index(),
        "snapshots_count": written.answer.snapshots_count,
    }))
}

impl Earlier {
    /// Whether this is what there is to go back to at `state`, too.
    async fn holds(&self, api: &Api, id: LtmId, state: &State) -> Result<bool, ProblemResponse> {
        if state.index.rollbacks_count() != self.rollbacks_count {
            return Ok(false);
        }
        // A log that lost its end may have another history under the same indices.
        Ok(state.position() == self.at || api.store().entry(id, self.at).await?.is_some())
    }
}

impl Target {
    fn read(body: &Body) -> Result<Self, ProblemResponse> {
        match (&body.snapshot, &body.rollback) {
            (Some(Object(to)), _) if to.replay => Ok(Self::Replay(to.index)),
            (Some(Object(to)), _) => Ok(Self::Snapshot(to.index)),
            (None, Some(Object(undone))) => Ok(Self::Undo(undone.index)),
            (None, None) => {
                let detail = r#"give `{"snapshot": {"index": 5}}` to go back to a snapshot, or `{"rollback": {"index": 0}}` to undo a rollback"#;
                Err(Problem::new(ProblemKind::InvalidRequest, detail)
                    .with_field("snapshot")
                    .into())
            }
        }
    }

    /// The last snapshot that is kept, as messages say it.
    fn snapshot_index(self) -> Option<i64> {
        let signed = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
        match self {
            Self::Snapshot(index) => Some(signed(index)),
            Self::Replay(index) => Some(signed(index) - 1),
            Self::Undo(_) => None,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Snapshot(_) => "manual",
            Self::Replay(_) => "replay",
            Self::Undo(_) => "recover rollback",
        }
    }

    /// What there is to go back to.
    async fn find(self, api: &Api, known: Known) -> Result<Earlier, ProblemResponse> {
        let (place, snapshots_count) = self.place(known.id, &known.index)?;
        let tree = match place {
            None => Tree::default(),
            Some(place) => api.store().state_after(known.id, place).await?.tree,
        };
        Ok(Earlier {
            tree,
            snapshots_count,
            rollbacks_count: known.index.rollbacks_count(),
            at: known.cursor,
        })
    }

    /// The place in the log after which the state is the one to go back to (`None`: before the
    /// first), and how many snapshots there are then.
    fn place(self, id: LtmId, log: &HistoryIndex) -> Result<(Option<u64>, u64), ProblemResponse> {
        let branch = log.branch();
        match self {
            Self::Replay(0) if branch.count() > 0 => Ok((None, 0)),
            Self::Snapshot(index) | Self::Replay(index) => {
                let kept = match self {
                    // The snapshot itself must be there, too.
                    Self::Replay(_) if branch.place(index).is_some() => index.checked_sub(1),
                    Self::Replay(_) => None,
                    _ => Some(index),
                };
                let place = kept.and_then(|kept| Some((Some(branch.place(kept)?), kept + 1)));
                place.ok_or_else(|| {
                    let (first, count) = (branch.first_index(), branch.count());
                    let detail = format!(
                        "LTM {id} has no snapshot {index} to go back to; it has {first} to {}",
                        i128::from(count) - 1
                    );
                    Problem::new(ProblemKind::InvalidRequest, detail)
                        .with_field("snapshot.index")
                        .into()
                })
            }
            Self::Undo(index) => {
                let taken_out = log.branch_before(index).zip(
                    log.rollbacks()
                        .find(|&(nth, _)| nth == index)
                        .map(|(_, place)| place - 1),
                );
                let (branch, place) = taken_out.ok_or_else(|| {
                    let (first, count) = (log.origin().rollbacks, log.rollbacks_count());
                    let detail = if first == count {
                        format!("LTM {id} has no rollback that could be undone")
                    } else {
                        let last = count - 1;
                        format!("LTM {id} has no rollback {index}; it has {first} to {last}")
                    };
                    ProblemResponse(
                        Problem::new(ProblemKind::InvalidRequest, detail)
                            .with_field("rollback.index"),
                    )
                })?;
                Ok((Some(place), branch.count()))
            }
        }
    }

    fn draft(
        self,
        state: &mut State,
        earlier: &Earlier,
        time: &str,
    ) -> Result<Draft, ProblemResponse> {
        let none = Map::new();
        let now = state.tree.value().as_object().unwrap_or(&none);
        let then = earlier.tree.value().as_object().unwrap_or(&none);
        let operations: Vec<PatchOperation> = diff::diff(now, then);
        let undone = match self {
            Self::Undo(index) => Some(index),
            Self::Snapshot(_) | Self::Replay(_) => None,
        };
        let payload = change::written(&Rollback {
            snapshot_index: self.snapshot_index(),
            rollback: RollbackChange {
                time: time.into(),
                reason: self.reason().into(),
                patch: &change::text(&operations)?,
                snapshots_count: earlier.snapshots_count,
                rollback_index: undone,
            },
        })?;
        let undo = state
            .tree
            .apply(&operations, &UNLIMITED)
            .map_err(|e| change::refusal("rollback", e))?;
        Ok(Draft {
            kind: Kind::Rollback,
            payload,
            snapshots_count: earlier.snapshots_count,
            undo: Some(undo),
        })
    }
}

/// A state that the LTM had may be gone back to, whatever the limits are now.
const UNLIMITED: ltm_state::patch::Limits = ltm_state::patch::Limits {
    max_bytes: usize::MAX,
    max_depth: usize::MAX,
    max_operations: usize::MAX,
};
