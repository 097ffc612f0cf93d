//! The errors of the store.

use ltm_types::{Cursor, LtmId, LtmKey};
use redis::RedisError;

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no LTM with this id.
    #[error("there is no LTM {0}")]
    Unknown(LtmId),
    /// No LTM has this key.
    #[error("no LTM of class {:?} has the key {:?}", .0.fqn(), .0.key())]
    UnknownKey(LtmKey),
    /// The LTM was deleted.
    #[error("LTM {id} was deleted")]
    Deleted {
        /// Its id.
        id: LtmId,
        /// The cursor of the last entry of its log.
        cursor: Cursor,
    },
    /// Redis cannot be reached, or does not answer in time.
    #[error("Redis is unavailable: {0}")]
    Unavailable(#[source] RedisError),
    /// The answer to a write was lost, and later writes hide whether it has landed.
    #[error(
        "Redis did not answer in time, and it is unknown whether the write to LTM {0} has landed; read the LTM before you try again"
    )]
    OutcomeUnknown(LtmId),
    /// Redis answered, and rejected the command.
    #[error("{0}")]
    Rejected(#[source] Rejection),
    /// A setting is wrong.
    #[error("{setting}: {problem}")]
    Setting {
        /// The name of the setting: `redis.url`.
        setting: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The log contains data that the store does not write.
    #[error("the log of LTM {id} is damaged at {at}: {detail}")]
    Damaged {
        /// The LTM.
        id: LtmId,
        /// The cursor of the damaged entry.
        at: Cursor,
        /// What is wrong.
        detail: String,
    },
    /// The log does not have the requested entries any more: retention removed them, or a failover of Redis lost them.
    #[error("the log of LTM {0} does not have that part of the history any more")]
    Trimmed(LtmId),
    /// A failover has taken back a part of an unfinished copy.
    #[error("a failover of Redis has lost the unfinished copy of LTM {0}; copy it again")]
    CopyLost(LtmId),
    /// A key outside a log, or an answer of Redis, is not as expected.
    #[error("unexpected data in Redis: {0}")]
    Unexpected(String),
}

/// Why Redis rejected a command. Each message says what an operator can do.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// `OOM`.
    #[error(
        "Redis is out of memory (OOM, maxmemory reached) and rejected the write; raise maxmemory, or set retention to keep less"
    )]
    OutOfMemory(#[source] RedisError),
    /// `READONLY`.
    #[error(
        "Redis is a read-only replica and rejected the write; set redis.url to the primary, or set redis.sentinels"
    )]
    ReadOnly(#[source] RedisError),
    /// `MISCONF`.
    #[error(
        "Redis cannot write to its disk and rejects writes ({0}); free disk space, and check the log of Redis"
    )]
    CannotPersist(#[source] RedisError),
    /// `WRONGPASS`, `NOAUTH`, or another failed login.
    #[error("Redis rejected the user or the password of redis.url: {0}")]
    Credentials(#[source] RedisError),
    /// `NOPERM`.
    #[error("Redis does not allow this user the command (ACL): {0}")]
    Permission(#[source] RedisError),
    /// `NOREPLICAS`.
    #[error("Redis has too few replicas (min-replicas-to-write) and rejected the write")]
    NoReplicas(#[source] RedisError),
    /// Fewer replicas confirmed the write than `redis.wait_replicas` requires.
    #[error(
        "the write is in Redis, but {have} of {asked} replicas have it (redis.wait_replicas); try again with the same Idempotency-Key"
    )]
    TooFewReplicas {
        /// The number of replicas that confirmed it.
        have: i64,
        /// The number of replicas that must confirm it.
        asked: u32,
    },
    /// Any other error.
    #[error("Redis rejected the command: {0}")]
    Other(#[source] RedisError),
}

impl StoreError {
    /// Whether the same request, unchanged, may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::CopyLost(_) => true,
            Self::Rejected(rejection) => {
                !matches!(rejection, Rejection::Permission(_) | Rejection::Other(_))
            }
            _ => false,
        }
    }

    /// Whether the program that answers is not Redis.
    pub fn is_not_redis(&self) -> bool {
        matches!(self, Self::Unavailable(error) if error.kind() == redis::ErrorKind::Parse)
    }

    /// Whether Redis has rejected the command, and so nothing was written.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Rejected(rejection) if !matches!(rejection, Rejection::TooFewReplicas { .. }))
    }

    pub(crate) fn setting(setting: &str, problem: impl Into<String>) -> Self {
        Self::Setting {
            setting: setting.into(),
            problem: problem.into(),
        }
    }
}

impl From<Rejection> for StoreError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        let rejection: fn(RedisError) -> Rejection = match error.code() {
            Some("OOM") => Rejection::OutOfMemory,
            Some("READONLY") => Rejection::ReadOnly,
            Some("MISCONF") => Rejection::CannotPersist,
            Some("WRONGPASS" | "NOAUTH") => Rejection::Credentials,
            Some("NOPERM") => Rejection::Permission,
            Some("NOREPLICAS") => Rejection::NoReplicas,
            _ if error.kind() == redis::ErrorKind::AuthenticationFailed => Rejection::Credentials,
            _ if is_transient(&error) => return Self::Unavailable(error),
            _ => Rejection::Other,
        };
        Self::Rejected(rejection(error))
    }
}

/// Whether a new connection, or a later try, may succeed.
pub(crate) fn is_transient(error: &RedisError) -> bool {
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

/// Why a write is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisWriteError {
    /// Redis failed, or rejected the write.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Too few replicas confirmed the write in time. It is in Redis, but a failover can lose it.
    #[error("{have} of {asked} replicas have it")]
    TooFewReplicas { have: i64, asked: u32 },
}

impl RedisWriteError {
    /// As [`is_transient`].
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Redis(error) if is_transient(error))
    }

    /// As [`RedisError::code`].
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Redis(error) => error.code(),
            Self::TooFewReplicas { .. } => None,
        }
    }
}

impl From<RedisWriteError> for StoreError {
    fn from(error: RedisWriteError) -> Self {
        match error {
            RedisWriteError::Redis(error) => error.into(),
            RedisWriteError::TooFewReplicas { have, asked } => {
                Rejection::TooFewReplicas { have, asked }.into()
            }
        }
    }
}
