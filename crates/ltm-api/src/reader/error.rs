//! Why something cannot be read.

use ltm_store::StoreError;

use crate::{json_work::Overloaded, state_cache::LockError};

/// The answers that are being sent hold as many bytes of large texts as allowed.
#[derive(Debug, thiserror::Error)]
#[error("the answers that are being sent take as much memory as allowed (api.answers); try again")]
pub(crate) struct NoRoom;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// A parameter names something that the LTM does not have.
    #[error("{problem}")]
    Invalid {
        /// Which parameter or field.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The LTM's state cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A text is large, and no thread was free to write it.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// A text is large, and too many others are being sent.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A snapshot cannot be written as JSON.
    #[error("JSON cannot be written: {0}")]
    Unwritable(#[from] serde_json::Error),
}

impl ReadError {
    /// A parameter that names something that the LTM does not have.
    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            problem: problem.into(),
        }
    }

    /// Whether the log was trimmed between two reads.
    pub(crate) fn is_trimmed(&self) -> bool {
        matches!(self, Self::Store(StoreError::Trimmed(_)))
    }

    /// Whether a newer state may have another outcome.
    pub(crate) fn depends_on_state(&self) -> bool {
        matches!(self, Self::Invalid { .. }) || self.is_trimmed()
    }
}
