//! A recorded history: the creation of an LTM, and the snapshots after it.

use std::time::Duration;

use ltm_state::{json, patch};
use ltm_types::{LtmId, parse_time};
use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::{
    commands::create::NewLtm,
    documents::{last_document, not_a_document},
    error::Error,
};

#[derive(Deserialize)]
struct RecordedLtm<'a> {
    fqn: String,
    name: Option<String>,
    #[serde(borrow)]
    structure: Option<&'a RawValue>,
    #[serde(borrow)]
    snapshots: Vec<RecordedSnapshot<'a>>,
}

/// A snapshot, as it was recorded and as it is appended.
#[derive(Deserialize, Serialize)]
pub(crate) struct RecordedSnapshot<'a> {
    #[serde(skip_serializing)]
    time: Option<String>,
    reason: String,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    patch: &'a RawValue,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    execute_queue: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    transitions_queue: Option<&'a RawValue>,
}

/// The arguments that the LTM was started with.
#[derive(Default, Deserialize)]
struct Start<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    playground: Option<&'a RawValue>,
}

/// A recorded history.
pub(crate) struct History<'a> {
    document: RecordedLtm<'a>,
    start: Start<'a>,
    /// The state after the first snapshot, if that is the start.
    state: Option<Box<RawValue>>,
}

impl<'a> History<'a> {
    /// Reads a document, or a recording that holds documents.
    pub(crate) fn read(text: &'a str) -> Result<Self, Error> {
        let (text, _) = last_document(text)?;
        let document: RecordedLtm<'a> = json::read(text).map_err(|e| not_a_document(&e))?;
        let first = document
            .snapshots
            .first()
            .filter(|first| first.reason == "start");
        let (start, state) = match first {
            None => (Start::default(), None),
            Some(first) => {
                let start = first
                    .item
                    .and_then(|item| serde_json::from_str(item.get()).ok());
                (start.unwrap_or_default(), Some(initial_state(first.patch)?))
            }
        };
        Ok(Self {
            document,
            start,
            state,
        })
    }

    /// The body that creates the LTM.
    pub(crate) fn creation<'h>(&'h self, name: Option<&'h str>, id: Option<LtmId>) -> NewLtm<'h> {
        NewLtm {
            key: None,
            fqn: &self.document.fqn,
            name: name.or(self.document.name.as_deref()),
            params: object(self.start.params),
            payload: object(self.start.payload),
            playground: self.start.playground.is_some_and(|it| it.get() == "true"),
            structure: object(self.document.structure),
            state: self.state.as_deref(),
            id,
            retention: None,
        }
    }

    /// The snapshots to append, each with its index and the time since the one before.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (usize, Duration, &RecordedSnapshot<'a>)> {
        let snapshots = &self.document.snapshots;
        let created = usize::from(self.state.is_some());
        let gap = move |index: usize, step: &RecordedSnapshot<'a>| {
            let before = snapshots.get(index.checked_sub(1)?)?;
            step.since(before)
        };
        let steps = snapshots.iter().enumerate().skip(created);
        steps.map(move |(index, step)| (index, gap(index, step).unwrap_or_default(), step))
    }

    /// The number of snapshots.
    pub(crate) fn len(&self) -> usize {
        self.document.snapshots.len()
    }
}

impl RecordedSnapshot<'_> {
    /// The time from `before` to this snapshot, if it is known and not negative.
    fn since(&self, before: &Self) -> Option<Duration> {
        let (before, now) = (before.time.as_deref()?, self.time.as_deref()?);
        let (before, now) = (parse_time(before).ok()?, parse_time(now).ok()?);
        now.duration_since(before).try_into().ok()
    }
}

/// A value that is an object: the API accepts nothing else, and recordings also have false and null.
fn object(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|json| json.get().starts_with('{'))
}

/// The state that a patch makes from `{}`.
fn initial_state(patch: &RawValue) -> Result<Box<RawValue>, Error> {
    let wrong = |what: String| Error::Input(format!("snapshot 0 cannot be applied: {what}"));
    let mut state = Value::Object(Map::new());
    patch::replay(&mut state, patch.get()).map_err(|e| wrong(e.to_string()))?;
    to_raw_value(&state).map_err(|e| wrong(e.to_string()))
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
