//! The kinds of entries.

use std::fmt;

/// The kind of an entry: the name of its only field in the stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A step of the LTM.
    Snapshot,
    /// A rollback to an earlier snapshot, or the undoing of one.
    Rollback,
    /// An error that was recorded or changed.
    Error,
    /// The deletion of the LTM, which ends the log.
    Deleted,
    /// A kind of a newer version. It is part of the chain and does not change the state.
    Other(Box<str>),
}

impl Kind {
    /// The kind with this name.
    pub fn from_name(name: &str) -> Self {
        match name {
            "snapshot" => Self::Snapshot,
            "rollback" => Self::Rollback,
            "error" => Self::Error,
            "deleted" => Self::Deleted,
            other => Self::Other(other.into()),
        }
    }

    /// The name in the stream and in messages.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Rollback => "rollback",
            Self::Error => "error",
            Self::Deleted => "deleted",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
