//! The errors of a measurement.

use std::{io, path::PathBuf};

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
    #[error("LOSS OR DISORDER: {0}")]
    Delivery(String),
    #[error("the document is wrong: {0}")]
    Document(String),
    #[error("no such scenario: {0}")]
    Scenario(String),
    #[error("a producer panicked")]
    Panicked,
    #[error("{delivered} of {expected} deliveries arrived in time")]
    Late { delivered: u64, expected: u64 },
}
