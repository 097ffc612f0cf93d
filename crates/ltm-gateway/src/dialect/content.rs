//! What a message about one LTM says, for dialects that do not pass messages on as they are.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The content of a message.
pub(crate) enum Content<'a> {
    /// A step of the LTM.
    Snapshot(Change<'a>),
    /// A rollback, and the index of the last snapshot that stays.
    Rollback(Option<i64>, Change<'a>),
    /// A recorded error.
    Error(&'a RawValue),
    /// The whole state.
    Reset(Reset<'a>),
    /// The LTM was deleted.
    Deleted,
    /// The subscriber has caught up.
    Live,
}

/// A change of the state.
#[derive(Deserialize)]
pub(crate) struct Change<'a> {
    #[serde(borrow)]
    pub time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub patch: &'a RawValue,
}

/// The whole state, and why it is sent.
#[derive(Deserialize)]
pub(crate) struct Reset<'a> {
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    #[serde(borrow)]
    pub state: &'a RawValue,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    cursor: Cow<'a, str>,
    #[serde(borrow)]
    snapshot: Option<Change<'a>>,
    snapshot_index: Option<i64>,
    #[serde(borrow)]
    rollback: Option<Change<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    reset: Option<Reset<'a>>,
    deleted: Option<bool>,
    live: Option<bool>,
}

/// The cursor and the content of a message; `None` if it says nothing that a dialect knows.
pub(crate) fn read(text: &[u8]) -> Option<(Cow<'_, str>, Content<'_>)> {
    let message: Message<'_> = serde_json::from_slice(text).ok()?;
    let content = if let Some(change) = message.snapshot {
        Content::Snapshot(change)
    } else if let Some(change) = message.rollback {
        Content::Rollback(message.snapshot_index, change)
    } else if let Some(error) = message.error {
        Content::Error(error)
    } else if let Some(reset) = message.reset {
        Content::Reset(reset)
    } else if message.deleted == Some(true) {
        Content::Deleted
    } else if message.live == Some(true) {
        Content::Live
    } else {
        return None;
    };
    Some((message.cursor, content))
}
