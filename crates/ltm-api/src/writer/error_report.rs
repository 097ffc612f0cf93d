//! Recording an error, or what became of it.

use ltm_state::{
    State,
    json::{self, Shape},
};
use ltm_store::Store;
use ltm_types::{Kind, LtmId, now};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    draft::{Change, Write, to_payload},
    error::WriteError,
};
use crate::formats::Format;

/// What a request reports about an error. A field that is left out stays as it is.
pub(crate) struct ErrorReport {
    pub(crate) store: Store,
    pub(crate) ltm_id: LtmId,
    pub(crate) id: Uuid,
    pub(crate) reason: Option<String>,
    pub(crate) item: Option<Box<RawValue>>,
    pub(crate) retries: Option<Box<RawValue>>,
    pub(crate) retrying: Option<bool>,
    pub(crate) success: Option<bool>,
    pub(crate) time: Option<String>,
}

/// An error as the log has it, in the order of fields that Flou's socket uses.
#[derive(Serialize, Deserialize)]
struct RecordedError {
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

/// A field of a report that the log carries as it is; `None` if it is left out.
pub(crate) fn reported_field(
    field: &'static str,
    value: Option<&RawValue>,
    shape: Shape,
    format: &'static Format,
    max_depth: usize,
) -> Result<Option<Box<RawValue>>, WriteError> {
    let Some(value) = value else { return Ok(None) };
    let text = json::passthrough(field, Some(value), "", shape, max_depth)?;
    format.check(field, text.get())?;
    Ok(Some(text))
}

impl Write for ErrorReport {
    async fn apply(&mut self, state: &mut State) -> Result<Change, WriteError> {
        let time = self.time.clone().unwrap_or_else(now);
        let mut error = match self.earlier(state).await? {
            Some(error) => error,
            None => RecordedError {
                id: self.id,
                ltm_id: self.ltm_id,
                reason: "execute".into(),
                item: RawValue::NULL.to_owned(),
                retries: RawValue::from_string("[]".into()).map_err(WriteError::Unwritable)?,
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
        Ok(Change {
            kind: Kind::Error,
            payloads: vec![to_payload(&error)?],
            snapshots_count: state.snapshots_count(),
            undo: Vec::new(),
        })
    }
}

impl ErrorReport {
    /// The error as it was recorded last, if that entry is still kept.
    async fn earlier(&self, state: &State) -> Result<Option<RecordedError>, WriteError> {
        let errors = state.index.errors();
        let Some(&(_, seq)) = errors.iter().find(|(error, _)| *error == self.id) else {
            return Ok(None);
        };
        let entries = self.store.entries(self.ltm_id, &[seq]).await?;
        Ok(entries
            .first()
            .and_then(|entry| serde_json::from_str(&entry.payload).ok()))
    }
}
