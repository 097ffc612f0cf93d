//! The state of an LTM as its events make it.

use std::sync::Arc;

use ltm_state::{json, patch};
use ltm_types::Cursor;
use serde_json::{Map, Value, value::RawValue};

use super::event::{Change, Event, Message};
use crate::error::Misfit;

/// Whether a view is current.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// The client has not been live yet.
    #[default]
    Connecting,
    /// The view is current.
    Live,
    /// The client was live; the view may be out of date.
    Reconnecting,
    /// The LTM was deleted; the view is its last one.
    Deleted,
}

/// The state of an LTM: the fold of its events.
///
/// Clones share the state. If there is no other clone, an event changes the state in place, at the cost of the change;
/// otherwise the clones keep their state.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Whether a view is current.
    pub status: Status,
    /// The cursor of the view; `None` before the first state.
    pub cursor: Option<Cursor>,
    /// The state: an object.
    pub state: Arc<Value>,
    /// The number of snapshots that led to the state.
    pub snapshots_count: u64,
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
    /// A view that begins with the state at a cursor.
    pub fn at(cursor: Cursor, state: Value, snapshots_count: u64) -> Self {
        Self {
            cursor: Some(cursor),
            state: Arc::new(state),
            snapshots_count,
            ..Self::default()
        }
    }

    /// Applies the next event.
    ///
    /// # Errors
    ///
    /// [`Misfit`] if the event does not fit. The view is then empty until a [`Reset`](crate::Reset) comes; follow again
    /// from [`Start::State`](crate::Start::State), as [`Views`](crate::Views) does.
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
            return Err("the view has no state yet".into());
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
                // An equal state stays shared.
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
