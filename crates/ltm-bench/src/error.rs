//! What can go wrong in a measurement.

use std::{io, path::PathBuf};

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{name} cannot be started: {source}; is it installed?")]
    Spawn {
        name: &'static str,
        source: io::Error,
    },
    #[error("{0} does not begin to listen")]
    Start(&'static str),
    #[error("{} is not there; build it: cargo build --release --workspace --bins", .0.display())]
    Missing(PathBuf),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Client(#[from] ltm_client::Error),
    #[error("a request was answered: {0}")]
    Answer(String),
    #[error("a subscriber was not let in: {0}")]
    Handshake(String),
    #[error(
        "{needed} connections are too many for the limit of {limit} open files; raise it: ulimit -n"
    )]
    Files { needed: usize, limit: u64 },
    #[error("LOSS OR DISORDER: {0}")]
    Delivery(String),
    #[error("the document is wrong: {0}")]
    Document(String),
    #[error("no such scenario: {0}")]
    Scenario(String),
    #[error("a producer panicked")]
    Panicked,
    #[error("{delivered} of {expected} deliveries came in time")]
    Late { delivered: u64, expected: u64 },
}
