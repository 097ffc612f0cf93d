//! The errors of a measurement.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot start {name}: {source}; is it installed?")]
    Spawn {
        name: &'static str,
        source: io::Error,
    },
    #[error("Centrifugo is not installed; if Go is, `deploy/setup.sh --bench` installs it")]
    Centrifugo,
    #[error("{0} does not start to listen")]
    Start(&'static str),
    #[error("{} does not exist; build it with `cargo build --profile dist --workspace --bins`", .0.display())]
    Missing(PathBuf),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Client(#[from] ltm_client::Error),
    #[error("unexpected answer: {0}")]
    Answer(String),
    #[error("the handshake of a subscriber failed: {0}")]
    Handshake(String),
    #[error(
        "{needed} connections exceed the limit of {limit} open files; raise it with `ulimit -n`"
    )]
    Files { needed: usize, limit: u64 },
    #[error("LOSS: {0}")]
    Ended(String),
    #[error("LOSS OR DISORDER: {0}")]
    Delivery(String),
    #[error("the document is wrong: {0}")]
    Document(String),
    #[error("no such scenario: {0}")]
    Scenario(String),
    #[error("a producer panicked")]
    Panicked,
    #[error("{count} of {expected} {what} in time")]
    Late {
        what: &'static str,
        count: u64,
        expected: u64,
    },
    #[error("{0} does not stop")]
    Stop(&'static str),
    #[error("{0}")]
    Subscribers(String),
    #[error("`scale` starts its own services: leave out --api and --gateway")]
    OwnServices,
}

impl Error {
    /// The error if more messages arrive than were sent.
    pub(crate) fn excess(delivered: u64, expected: u64) -> Self {
        Self::Delivery(format!("{delivered} deliveries instead of {expected}"))
    }

    /// Whether a subscriber may find the server ready if it connects again: the server ended the connection, or
    /// stops or starts.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Ended(_) => true,
            Self::Handshake(said) => said.is_empty() || said.starts_with("HTTP/1.1 503 "),
            Self::Io(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
            ),
            _ => false,
        }
    }
}
