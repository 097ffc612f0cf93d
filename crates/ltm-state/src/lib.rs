//! What the log of an LTM means: states, patches, histories, and whether a log continues.
//!
//! Everything here is a function of its arguments. There is no network, no file and no clock, so that
//! the services, the command line, the Rust client and the fuzzer share one reading of the log.
//!
//! - [`State`] is the fold of a log: [`State::fold`] applies one entry.
//! - [`change`] turns a request (`patch`, `merge` or `state`) into a patch and applies it.
//! - [`history_index`] knows which entries are the history, after rollbacks and trims.
//! - [`join`] decides what a live entry is to a subscriber; [`judge`] decides whether a log continues
//!   from a cursor.

pub mod change;
pub mod diff;
pub mod history_index;
mod join;
pub mod json;
pub mod patch;
mod retention;
mod state;

pub use change::{Change, ChangeError};
pub use history_index::{Branch, HistoryIndex, Origin, Span};
pub use join::{Continuation, Join, join, judge};
pub use patch::{Limits, PatchError, Tree};
pub use retention::{Friendly, Retention, RetentionOverride, TrimRule, time_of};
pub use state::{Checkpoint, FoldError, MAX_STATE_BYTES, RestoreError, State};
