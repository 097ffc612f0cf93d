//! What an LTM is, as far as it is known.

use std::sync::Arc;

use ltm_state::{json, patch};
use ltm_types::Cursor;
use serde_json::{Map, Value, value::RawValue};

use crate::{Change, Event, Message};

/// How the following is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It was not live yet.
    #[default]
    Connecting,
    /// What is shown is what is.
    Live,
    /// It was live; what is shown is what was.
    Reconnecting,
    /// The LTM was deleted; what is shown is what was at last.
    Deleted,
}

/// An LTM as far as it is known: what its events make of nothing, one by one.
///
/// A copy shares the state. Where nobody else has it, an event changes it in place, at the cost of the change; where
/// somebody has, they keep what they have.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// How the following is.
    pub status: Status,
    /// Where in the log the view is; none until a state has come.
    pub cursor: Option<Cursor>,
    /// The state: an object.
    pub state: Arc<Value>,
    /// How many snapshots led to it.
    pub snapshots_count: u64,
}

/// Why an event does not fit a view.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came does not fit what is known, at {cursor}: {detail}")]
pub struct Misfit {
    /// The message.
    pub cursor: Cursor,
    /// What is wrong.
    pub detail: String,
}

impl Default for View {
    fn default() -> Self {
        Self {
            status: Status::default(),
            cursor: None,
            state: Arc::new(Value::Object(Map::new())),
            snapshots_count: 0,
        }
    }
}

impl View {
    /// A view of what is known already: the state as of a cursor.
    pub fn at(cursor: Cursor, state: Value, snapshots_count: u64) -> Self {
        Self {
            cursor: Some(cursor),
            state: Arc::new(state),
            snapshots_count,
            ..Self::default()
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    ///
    /// [`Misfit`] where it does not fit. Nothing is known then, until a [`Reset`](crate::Reset) comes; follow again from
    /// [`Start::State`](crate::Start::State), as [`Views`](crate::Views) does.
    pub fn take(&mut self, event: &Event) -> Result<(), Misfit> {
        let message = match event {
            Event::Message(message) => message,
            Event::Disconnected { .. } => {
                if self.status == Status::Live {
                    self.status = Status::Reconnecting;
                }
                return Ok(());
            }
        };
        let cursor = message.cursor;
        self.change(message).map_err(|detail| {
            let status = match self.status {
                Status::Live => Status::Reconnecting,
                other => other,
            };
            *self = Self {
                status,
                ..Self::default()
            };
            Misfit { cursor, detail }
        })
    }

    fn change(&mut self, message: &Message) -> Result<(), String> {
        let replaces = matches!(message.change, Change::Reset(_) | Change::Deleted);
        if self.cursor.is_none() && !replaces {
            return Err("there is no state yet".into());
        }
        match &message.change {
            Change::Snapshot(snapshot) => {
                self.replay(&snapshot.patch)?;
                self.snapshots_count += 1;
            }
            Change::Rollback(back) => {
                self.replay(&back.patch)?;
                self.snapshots_count = back.snapshots_count;
            }
            Change::Reset(reset) => {
                let state = json::read(reset.state.get()).map_err(|e| e.to_string())?;
                // Who has the same keeps it.
                if state != *self.state {
                    self.state = Arc::new(state);
                }
                self.snapshots_count = reset.snapshots_count;
            }
            Change::Live => self.status = Status::Live,
            Change::Deleted => self.status = Status::Deleted,
            Change::Error(_) | Change::Unknown => {}
        }
        self.cursor = Some(message.cursor);
        Ok(())
    }

    fn replay(&mut self, patch: &RawValue) -> Result<(), String> {
        patch::replay(Arc::make_mut(&mut self.state), patch.get()).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
#[path = "view/tests.rs"]
mod tests;
