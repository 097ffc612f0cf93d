//! The log of every LTM, in Redis: create, append, read, fold, follow. The only crate that speaks
//! Redis.
//!
//! [`Store`] reads and writes; [`Live`] delivers entries as they are appended. The log is the truth
//! and the live channel only speed: [`ltm_state::join`] decides what a live entry is to a subscriber at a
//! cursor, and if it does not fit, the log decides.
//!
//! - `redis`: the connection, to one server, behind Sentinels, or to a cluster, and the scripts;
//! - `log`: what the store does with a log, a file for each operation;
//! - `live`: the subscriptions to live channels;
//! - `doctor`: checks of Redis, of its keys and of whole logs;
//! - `flou`: the channels on which engines of Flou publish.

mod doctor;
mod error;
mod flou;
mod live;
mod log;
mod redis;
mod spawner;
mod ticket;

pub use self::redis::{
    connection::{Redis, reconnect_pauses},
    settings::RedisSettings,
};
pub use doctor::{
    clock::Clocks,
    permissions::Role,
    readiness::{Finding, Inspector, Severity},
    stray_keys::StrayKeys,
    verify::Verdict,
};
pub use error::{Rejection, StoreError};
pub use flou::{FlouChannels, Published};
pub use live::{Live, LiveEvent, LiveEvents};
pub use log::{
    append::{
        Answer, Append, AppendError, IDEMPOTENCY_SLOTS, Idempotency, MAX_PRODUCERS, Producer,
        fingerprint,
    },
    create::{CREATION_KEY_SECONDS, CreateError, Created, NewLtm},
    history::History,
    list::{Choice, Listing, Page, Row, Shown},
    meta::Meta,
    read::{Read, Store, Window, WindowBounds},
    retention::{Base, Retained},
    state::{Folded, Loaded},
};
pub use spawner::{BoxedTask, Spawner};
