//! Why a write was not carried out.

use std::borrow::Cow;

use ltm_state::{ChangeError, json::FieldError};
use ltm_store::{AppendError, CreateError, StoreError};
use ltm_types::{Cursor, LtmId};

use crate::{
    formats::FormatError, json_work::Overloaded, reader::ReadError, state_cache::LockError,
};

/// Why a write was not carried out. Nothing is written, except that after an unavailable Redis the outcome is
/// not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// A field of the request has a value that is not allowed.
    #[error("{problem}")]
    Invalid {
        /// Which field.
        field: Cow<'static, str>,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A field of the request cannot be passed through to the log.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A member of a field does not have the documented format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The change cannot be read, or does not apply to the state.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A snapshot of a batch cannot be appended.
    #[error("snapshots[{index}]: {source}")]
    InSnapshot {
        /// Which snapshot.
        index: usize,
        /// Why.
        source: Box<Self>,
    },
    /// `If-Match` or `base` does not name the LTM's cursor.
    #[error("the LTM is at {0}, which If-Match or `base` does not name; read it again")]
    Precondition(Cursor),
    /// The LTM's state cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The change is large, and no thread was free for it.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// Other producers wrote each time before this write could.
    #[error("others wrote to LTM {id} {tries} times meanwhile; try again")]
    Overtaken {
        /// Which LTM.
        id: LtmId,
        /// How often the write was tried.
        tries: u32,
    },
    /// The entry was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The LTM was not created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the write needs cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The entry cannot be written as JSON.
    #[error("JSON cannot be written: {0}")]
    Unwritable(#[source] serde_json::Error),
}

impl WriteError {
    /// A field with a value that is not allowed.
    pub(crate) fn invalid(field: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same in a snapshot of a batch.
    pub(crate) fn in_snapshot(self, index: usize) -> Self {
        let source = Box::new(self);
        Self::InSnapshot { index, source }
    }

    /// Whether a newer state may have another outcome.
    pub(crate) fn depends_on_state(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::Change(_) | Self::Precondition(_) => true,
            Self::Store(error) => matches!(error, StoreError::Trimmed(_)),
            Self::Read(error) => error.depends_on_state(),
            Self::InSnapshot { source, .. } => source.depends_on_state(),
            Self::Field(_)
            | Self::Format(_)
            | Self::Lock(_)
            | Self::Overloaded(_)
            | Self::Overtaken { .. }
            | Self::Append(_)
            | Self::Create(_)
            | Self::Unwritable(_) => false,
        }
    }
}
