//! Backup and restore of LTMs, through Redis itself.
//!
//! A backup is a sequence of [`Record`]s. The records of one LTM hold all its keys as they were at one moment: the keys
//! beside the log are read in one step, and the log is read up to the head that they name. Nobody changes the entries up
//! to there; a trim or a failover in between shows, and the LTM is read again.
//!
//! A restored LTM has the entries of the backup byte by byte, so its cursors are the same, and subscribers go on.

mod read;
mod record;
mod restore;
mod scan;

pub use read::LtmBackup;
pub use record::{Count, LtmKeys, Record, Start, StoredEntry};
pub use restore::{Restore, Restored, Skipped};
pub use scan::{Found, KeyScan};
