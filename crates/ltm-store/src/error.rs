//! What can go wrong between a service and the log.

use ltm_types::{Cursor, LtmId};

use crate::connection::TOO_FEW;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no LTM with this id.
    #[error("there is no LTM {0}")]
    Unknown(LtmId),
    /// The LTM was deleted.
    #[error("LTM {id} was deleted")]
    Deleted {
        /// Which.
        id: LtmId,
        /// The entry that ended its log.
        cursor: Cursor,
    },
    /// Redis does not answer, or not in time.
    #[error("Redis does not answer: {0}")]
    Unavailable(String),
    /// Redis answered with an error that trying again does not mend.
    #[error("Redis refused: {0}")]
    Refused(String),
    /// What Redis holds is not what the store writes.
    #[error("the log of LTM {id} is damaged at {at}: {detail}")]
    Damaged {
        /// Whose log.
        id: LtmId,
        /// Which entry.
        at: Cursor,
        /// What is wrong.
        detail: String,
    },
    /// The entries that were asked for are no longer kept.
    #[error("the log of LTM {0} no longer holds that part of the history")]
    Trimmed(LtmId),
}

impl From<redis::RedisError> for StoreError {
    fn from(error: redis::RedisError) -> Self {
        let too_few = error.to_string().starts_with(TOO_FEW);
        if is_transient(&error) || is_full(&error) || too_few {
            Self::Unavailable(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }
}

/// Whether Redis has no room: it answers reads, and writes once an operator has seen to it.
fn is_full(error: &redis::RedisError) -> bool {
    matches!(error.code(), Some("OOM" | "MISCONF"))
}

/// Whether another connection, or a later moment, may mend this error.
pub(crate) fn is_transient(error: &redis::RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_unrecoverable_error()
        || error.kind() == redis::ErrorKind::AuthenticationFailed
        || error.kind() == redis::ErrorKind::ClusterConnectionNotFound
        || matches!(
            error.code(),
            Some(
                "LOADING"
                    | "READONLY"
                    | "MASTERDOWN"
                    | "BUSY"
                    | "TRYAGAIN"
                    | "MOVED"
                    | "ASK"
                    | "CLUSTERDOWN"
                    | "NOREPLICAS"
                    | "NOAUTH"
                    | "WRONGPASS"
            )
        )
}
