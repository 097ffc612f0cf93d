//! Writing to logs. Nothing here knows of HTTP.
//!
//! [`Writer::write`] locks the LTM's cached state, lets a [`Write`] make a [`Draft`] of it, and appends the
//! draft's entries. A draft that is dropped before it is committed leaves the state as it was.

mod creation;
mod draft;
mod error;
mod error_report;
mod preconditions;
mod rollback;
mod snapshot;
mod snapshots;
mod write;

pub(crate) use creation::{Creation, CreationFields};
pub(crate) use draft::Write;
pub(crate) use error::WriteError;
pub(crate) use error_report::{ErrorReport, reported_field};
pub(crate) use preconditions::Preconditions;
pub(crate) use rollback::{RollbackTarget, RollbackTo};
pub(crate) use snapshot::{SnapshotFields, SnapshotWrite, check_text, time};
pub(crate) use snapshots::{Snapshots, SnapshotsAppend};
pub(crate) use write::{Writer, Written};
