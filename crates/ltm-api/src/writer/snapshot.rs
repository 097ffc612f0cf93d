//! Appending a snapshot: a step, and what it changed.

use bytestring::ByteString;
use ltm_docs::schemas::Operation;
use ltm_state::{
    Limits, State, Work,
    json::{self, FieldError, FieldErrorKind, Shape, memory_of},
    patch::Undo,
};
use ltm_types::{Cursor, Snapshot, canonical_time, member, now};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{draft::to_payload, error::WriteError};
use crate::formats::{ITEM, Item, QUEUE};

/// The fields of a snapshot as a request gives them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Append, example = json!({"reason": "execute", "merge": {"n": 1}}))]
pub(crate) struct SnapshotFields<'a> {
    /// Why it was taken.
    reason: String,
    /// What was executed.
    #[serde(borrow)]
    #[schema(value_type = Option<Item>)]
    item: Option<&'a RawValue>,
    /// The change (RFC 6902). Give exactly one of `patch`, `state` and `merge`.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<Operation>>)]
    patch: Option<&'a RawValue>,
    /// The whole new state.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    state: Option<&'a RawValue>,
    /// The change (RFC 7396).
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    merge: Option<&'a RawValue>,
    /// The executions that it queued.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<Item>>)]
    execute_queue: Option<&'a RawValue>,
    /// The transitions that it queued.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<Item>>)]
    transitions_queue: Option<&'a RawValue>,
    /// When it was taken (RFC 3339). Default: now.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// The cursor at which to write, as in `If-Match`: if the LTM is at another one, nothing is written.
    #[schema(value_type = Option<String>)]
    pub(crate) base: Option<Cursor>,
    /// Ignored: a snapshot of a document can be sent as it is.
    #[serde(default, rename = "traceparent")]
    #[schema(value_type = Option<serde_json::Value>)]
    _traceparent: IgnoredAny,
}

/// A snapshot to append.
pub(crate) struct SnapshotWrite {
    pub(crate) reason: String,
    /// When it was taken; `None` for now.
    pub(crate) time: Option<String>,
    pub(crate) item: Box<RawValue>,
    pub(crate) execute_queue: Box<RawValue>,
    pub(crate) transitions_queue: Box<RawValue>,
    pub(crate) change: ltm_state::Change,
    /// The cursor at which to write; `None` for any.
    pub(crate) base: Option<Cursor>,
    pub(crate) limits: Limits,
}

impl SnapshotFields<'_> {
    /// The memory that its values would take.
    pub(crate) fn memory(&self) -> usize {
        let change = [self.patch, self.state, self.merge];
        let passed_on = [self.item, self.execute_queue, self.transitions_queue];
        let given = change.into_iter().chain(passed_on).flatten();
        given.map(|json| memory_of(json.get())).sum()
    }
}

impl SnapshotWrite {
    /// Reads the fields of a request.
    pub(crate) fn read(fields: SnapshotFields<'_>, limits: Limits) -> Result<Self, WriteError> {
        let pass = |field, value: Option<&RawValue>, absent, shape| {
            // The API does not parse it, but those that read the log do.
            let (bytes, max) = (value.map_or(0, |it| memory_of(it.get())), limits.max_memory);
            if bytes > max {
                let kind = FieldErrorKind::TooMuchMemory { bytes, max };
                return Err(FieldError { field, kind });
            }
            json::passthrough(field, value, absent, shape, limits.max_depth)
        };
        let queue = |field, value: Option<_>| {
            let queue = pass(field, value, "[]", Shape::Array)?;
            if value.is_some() {
                QUEUE.check(field, queue.get())?;
            }
            Ok::<_, WriteError>(queue)
        };
        let item = pass("item", fields.item, "null", Shape::Any)?;
        ITEM.check("item", item.get())?;
        check_text("reason", &fields.reason)?;
        Ok(Self {
            time: time(fields.time.as_deref())?,
            item,
            execute_queue: queue("execute_queue", fields.execute_queue)?,
            transitions_queue: queue("transitions_queue", fields.transitions_queue)?,
            change: ltm_state::Change::read(fields.patch, fields.state, fields.merge, &limits)?,
            reason: fields.reason,
            base: fields.base,
            limits,
        })
    }

    /// Applies the change to `state`. Returns the payload of the entry, and the means to undo the change.
    pub(crate) fn apply_to(
        &mut self,
        state: &mut State,
        work: &mut Work,
    ) -> Result<(ByteString, Undo), WriteError> {
        let had_status = has_wrong_status(state);
        let field = self.change.field();
        let (patch, undo) = self.change.apply(&mut state.tree, &self.limits, work)?;
        // An LTM that an older version let have one can go on.
        if !had_status && has_wrong_status(state) {
            state.tree.undo(undo);
            let (field, set) = match field {
                "patch" => ("patch".to_owned(), "the patch makes `_status`".to_owned()),
                field => (format!("{field}._status"), format!("`{field}._status` is")),
            };
            let problem = format!("{set} a value that is no text; send a text, such as \"active\"");
            return Err(WriteError::invalid(field, problem));
        }
        let snapshot = Snapshot {
            time: &self.time.clone().unwrap_or_else(now),
            reason: &self.reason,
            item: &self.item,
            patch: &patch,
            execute_queue: &self.execute_queue,
            transitions_queue: &self.transitions_queue,
        };
        match to_payload(&snapshot) {
            Ok(payload) => Ok((payload, undo)),
            Err(error) => {
                state.tree.undo(undo);
                Err(error)
            }
        }
    }
}

/// Whether `_status` of a state is no text.
fn has_wrong_status(state: &State) -> bool {
    let status = state.tree.value().get(member::STATUS);
    status.is_some_and(|status| !status.is_string())
}

/// The longest name, or reason, in bytes. Lists and histories show it.
const MAX_TEXT: usize = 1024;

/// Rejects a name or a reason that is too long.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), WriteError> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    let problem = format!(
        "`{field}` has {} bytes, and {MAX_TEXT} are allowed",
        text.len()
    );
    Err(WriteError::invalid(field, problem))
}

/// The field `time`, in the one spelling that entries have.
pub(crate) fn time(text: Option<&str>) -> Result<Option<String>, WriteError> {
    text.map(canonical_time)
        .transpose()
        .map_err(|e| WriteError::invalid("time", format!("`time`: {e}")))
}
