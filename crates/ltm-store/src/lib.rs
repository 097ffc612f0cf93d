//! The log of every LTM, in Redis: create, append, read, fold, follow. The only crate that speaks
//! Redis.
//!
//! [`Store`] reads and writes; [`Live`] tells what is appended as it happens. The log is the truth
//! and the live channel only speed: [`join`] says what a live entry is to somebody who stands at a
//! cursor, and where it does not fit, the log decides.

mod append;
mod checkup;
mod clock;
mod cluster;
mod commands;
mod connection;
mod copy;
mod create;
mod delete;
pub mod diff;
mod error;
mod history;
mod inspection;
pub mod json;
mod leader;
mod link;
mod list;
mod live;
mod log;
mod meta;
mod metrics;
pub mod number;
mod outline;
pub mod patch;
mod reference;
mod retention;
mod script;
mod sentinels;
mod settings;
mod size;
mod state;
mod strays;
mod ticket;
mod tls;
mod verify;

pub use append::{
    Answer, Append, AppendError, IDEMPOTENCY_SLOTS, Idempotency, MAX_PRODUCERS, Producer,
    fingerprint,
};
pub use clock::Clocks;
pub use commands::Role;
pub use connection::{Redis, reconnect_pauses};
pub use create::{CREATION_KEY_SECONDS, CreateError, Created, NewLtm};
pub use error::StoreError;
pub use history::History;
pub use inspection::{Finding, Inspector, Severity};
pub use list::{Choice, Listing, Page, Row, Shown};
pub use live::{Live, LiveEvent, LiveEvents};
pub use log::{Join, Read, Store, Window, WindowBounds, join};
pub use meta::Meta;
pub use outline::{Branch, Origin, Outline, Span};
pub use reference::{Published, ReferenceChannels};
pub use retention::{Base, Retained, Retention, RetentionOverride};
pub use settings::RedisSettings;
pub use state::{Checkpoint, MOST_BYTES, State};
pub use strays::Strays;
pub use verify::Verdict;
