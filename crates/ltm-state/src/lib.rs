//! What the log of an LTM means: states, patches, histories, and whether a log continues.
//!
//! Everything here is a function of its arguments. It uses no network, no file and no clock. So the services,
//! the command line, the Rust client and the fuzzer read a log in the same way.
//!
//! - [`State`] is the fold of a log: [`State::fold`] applies one entry.
//! - [`change`] turns a request (`patch`, `merge` or `state`) into a patch and applies it.
//! - [`history_index`] tells which entries make up the history, after rollbacks and trims.
//! - [`join`] compares a live entry with a subscriber's cursor; [`judge`] decides whether a log continues from
//!   a cursor.

pub mod change;
pub mod diff;
pub mod history_index;
mod join;
pub mod json;
pub mod patch;
mod prototype;
mod retention;
mod state;

pub use change::{Change, ChangeError, Work};
pub use history_index::{Branch, HistoryIndex, Origin, SnapshotRange};
pub use join::{Continuation, Join, join, judge};
pub use patch::{Limits, MAX_STATE_BYTES, PatchError, Tree};
pub use retention::{Friendly, Retention, RetentionOverride, TrimRule, time_of};
pub use state::{Checkpoint, FoldError, RestoreError, State};
