//! The errors of commands.

use std::io::{self, ErrorKind};

use ltm_service::SettingsError;
use ltm_store::StoreError;
use ltm_types::Problem;

use crate::text::printable;

/// What a shell reports of a program that wrote into a closed pipe: 128 and SIGPIPE.
const BROKEN_PIPE: u8 = 141;
/// What `timeout` reports of a program whose time is over.
const TIME_OVER: u8 = 124;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The services rejected a request, or cannot be reached.
    #[error("{}", said(.0))]
    Client(#[from] ltm_client::Error),
    /// The answer of a service cannot be read.
    #[error("{0}")]
    Answered(String),
    /// An argument or the input cannot be used.
    #[error("{0}")]
    Input(String),
    /// One of several snapshots was not written; those before it were.
    #[error("snapshot {index}: {source}")]
    Snapshot {
        /// Its index in the input, from 0.
        index: usize,
        /// The cause.
        source: Box<Error>,
    },
    /// The command did its work, and the outcome is a failure.
    #[error("{0}")]
    Ended(String),
    /// What the command waited for did not come in time.
    #[error("{0}")]
    TimeOver(String),
    /// Redis failed, or the data in it is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting of Redis is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The process cannot be set up.
    #[error("{0}")]
    Setup(io::Error),
}

impl Error {
    /// Whether a retry may succeed.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_temporary())
    }

    /// The same error, with the index of the snapshot that it is about.
    pub(crate) fn of_snapshot(self, index: usize) -> Self {
        if matches!(self, Self::Output(_)) {
            return self;
        }
        Self::Snapshot {
            index,
            source: Box::new(self),
        }
    }

    /// Whether the reader of the output has closed it. This is not reported.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_broken_pipe() {
            BROKEN_PIPE
        } else if matches!(self, Self::TimeOver(_)) {
            TIME_OVER
        } else {
            1
        }
    }
}

/// An error of the client, for a terminal.
pub(crate) fn said(error: &ltm_client::Error) -> String {
    match error {
        ltm_client::Error::Problem { problem, .. } => shown(problem),
        ltm_client::Error::Refused { .. } => format!(
            "{error}; start the services with `ltm dev` or `docker compose up`, or set their URL with --url"
        ),
        other => printable(&other.to_string()),
    }
}

/// A problem as a line: the detail, the name in the documentation, and the request.
fn shown(problem: &Problem) -> String {
    let name = problem
        .r#type
        .strip_prefix("urn:ltm-live:problem:")
        .unwrap_or(&problem.r#type);
    let mut marks = vec![name.to_owned()];
    marks.extend(problem.field.as_ref().map(|field| format!("field {field}")));
    marks.extend(
        problem
            .request_id
            .as_ref()
            .map(|id| format!("request {id}")),
    );
    printable(&format!("{} ({})", problem.detail, marks.join(", ")))
}

#[cfg(test)]
mod tests {
    use ltm_types::ProblemKind;

    use super::*;

    #[test]
    fn a_problem_names_itself_and_the_request() {
        let mut problem = Problem::new(ProblemKind::UnknownLtm, "there is no LTM 7");
        problem.request_id = Some("4f0c".into());
        assert_eq!(
            shown(&problem),
            "there is no LTM 7 (unknown-ltm, request 4f0c)"
        );
    }

    #[test]
    fn a_refused_connection_names_the_ways_to_start_the_services() {
        let server = "http://127.0.0.1:1".parse().unwrap();
        let error = Error::Client(ltm_client::Error::Refused { server });
        assert_eq!(
            error.to_string(),
            "cannot reach http://127.0.0.1:1: connection refused; start the services with `ltm dev` or \
             `docker compose up`, or set their URL with --url"
        );
    }

    #[test]
    fn a_closed_output_is_not_reported() {
        let left = Error::Output(ErrorKind::BrokenPipe.into());
        assert!(left.is_broken_pipe());
        assert_eq!(left.exit_code(), 141);
        let full = Error::Output(ErrorKind::StorageFull.into());
        assert!(!full.is_broken_pipe());
        assert_eq!(full.exit_code(), 1);
    }
}
