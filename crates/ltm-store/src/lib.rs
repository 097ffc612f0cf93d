//! The log of every LTM, in Redis: create, append, read, fold, follow. Only this crate speaks Redis.
//!
//! [`Store`] reads and writes logs. [`Live`] delivers entries when they are appended. Live delivery only saves
//! time: [`ltm_state::join`] compares a live entry with the cursor of a subscriber, and if it does not fit, the log
//! decides.
//!
//! - `redis`: connections to one server, to a primary behind Sentinels, or to a cluster; and the scripts;
//! - `log`: the operations on logs, one file for each;
//! - `list`: the lists of LTMs, and the index by which they filter;
//! - `live`: the subscriptions to live channels;
//! - `backup`: reads LTMs with everything that Redis holds of them, and restores them;
//! - `credentials`: revocations and tickets;
//! - `doctor`: checks of Redis, of its keys and of whole logs;
//! - `flou`: the channels on which Flou's engines publish.

mod apart;
mod backup;
#[doc(hidden)]
pub mod bench;
mod credentials;
mod doctor;
mod error;
mod flou;
mod list;
mod live;
mod log;
mod redis;
mod spawner;

pub use self::redis::{
    client::{Redis, reconnect_pauses},
    settings::RedisSettings,
};
pub use apart::apart;
pub use backup::{
    Count, Found, KeyScan, LtmBackup, LtmKeys, Record, Restore, Restored, Skipped, Start,
    StoredEntry,
};
pub use credentials::revocations::{NewRevocation, RevocationSet};
pub use doctor::{
    clock::Clocks,
    permissions::Role,
    readiness::{Finding, Inspector, Severity},
    stray_keys::StrayKeys,
    verify::Verdict,
};
pub use error::{Rejection, StoreError};
pub use flou::{FlouChannels, Published};
pub use list::{
    check::ListCheck,
    counts::ListCounts,
    filter::{ClassFilter, ListFilter, TimeRange},
    page::{Choice, Listing, Page, Shown},
};
pub use live::{Live, LiveEvent, LiveEvents, LiveSource};
pub use log::{
    append::{
        Append, AppendError, AppendedEntries, IDEMPOTENCY_SLOTS, Idempotency, MAX_PRODUCERS,
        ProducerEpoch, fingerprint,
    },
    create::{CREATION_KEY_SECONDS, CreateError, CreatedLtm, NewLtm},
    delete::{DeletedLtm, Deletion},
    list::Row,
    meta::{LogMark, Meta},
    read::{Read, Store, Window, WindowBounds},
    retention::{Base, BasePoint, RetentionCandidate},
    snapshots::SnapshotReader,
    state::{FoldCost, LoadedState},
};
pub use spawner::{BoxedTask, Spawner};
