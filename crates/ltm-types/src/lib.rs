//! The types that every part of ltm-live shares: ids, cursors, log entries, snapshots, the
//! messages on the wire, problem details and the names of keys.
//!
//! Nothing here does I/O. JSON that the services only pass on stays text ([`serde_json::value::RawValue`],
//! [`bytestring::ByteString`]), so that a subscriber receives it exactly as the producer wrote it.

mod content;
mod cursor;
mod entry;
mod id;
pub mod keys;
mod kind;
pub mod member;
mod message;
mod problem;
mod rollback;
mod snapshot;
mod time;
mod trace_parent;

pub use content::{Content, ContentError};
pub use cursor::{Cursor, CursorError};
pub use entry::Entry;
pub use id::{
    LtmId, LtmIdError,
    class::covers_class,
    key::{LtmKey, LtmKeyError, MAX_FQN, MAX_KEY},
    reference::{LtmRef, LtmRefError},
};
pub use kind::Kind;
pub use message::{
    EncodedMessage, ResetReason, entry_message, gone_message, live_message, reset_message,
    skipped_message,
};
pub use problem::{MAX_QUOTED, Problem, ProblemKind, shorten, shorten_to};
pub use rollback::{Rollback, RollbackChange};
pub use snapshot::Snapshot;
pub use time::{TimeError, canonical_time, now, parse_time};
pub use trace_parent::{TraceParent, TraceParentError};
