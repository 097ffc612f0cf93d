//! The errors of commands.

use std::io::{self, ErrorKind};

use ltm_service::SettingsError;
use ltm_store::{Rejection, StoreError};
use ltm_types::{Problem, ProblemKind};

use crate::text::printable;

/// The exit codes of a command that failed, as `ltm --help` and `docs/errors.md` list them.
mod exit {
    /// The command did its work, and the outcome is a failure; or something else went wrong.
    pub(super) const FAILED: u8 = 1;
    /// The arguments, the input or the settings cannot be used.
    pub(super) const USAGE: u8 = 2;
    /// There is no such LTM, or it was deleted.
    pub(super) const NOT_FOUND: u8 = 3;
    /// The services reject the request as it is.
    pub(super) const REFUSED: u8 = 4;
    /// The LTM has changed meanwhile.
    pub(super) const CONFLICT: u8 = 5;
    /// The services or Redis cannot be reached, or ask for a later attempt.
    pub(super) const UNAVAILABLE: u8 = 6;
    /// What `timeout` reports of a program whose time is over.
    pub(super) const TIME_OVER: u8 = 124;
    /// What a shell reports of a program that wrote into a closed pipe: 128 and SIGPIPE.
    pub(super) const BROKEN_PIPE: u8 = 141;
}

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
    /// One of the snapshots that were sent together cannot be written, so none of them was.
    #[error("snapshot {index}: {}; no snapshot from {first} on was written", said(.source))]
    Batch {
        /// Its index in the input, from 0.
        index: usize,
        /// The index of the first one that was not written.
        first: usize,
        /// The cause.
        source: ltm_client::Error,
    },
    /// The command did its work, and the outcome is a failure.
    #[error("{0}")]
    Ended(String),
    /// There is no such LTM, or it was deleted.
    #[error("{0}")]
    NotFound(String),
    /// What the command waited for did not come in time.
    #[error("{0}")]
    TimeOver(String),
    /// Redis failed, or the data in it is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Redis that a command uses cannot be reached, or rejects the login.
    #[error("{source} ({address}); {advice}")]
    Redis {
        /// Its address.
        address: String,
        /// The cause.
        source: StoreError,
        /// What to do.
        advice: &'static str,
    },
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
        match self {
            _ if self.is_broken_pipe() => exit::BROKEN_PIPE,
            Self::Client(error) | Self::Batch { source: error, .. } => code_of_client(error),
            Self::Store(error) | Self::Redis { source: error, .. } => code_of_store(error),
            Self::Snapshot { source, .. } => source.exit_code(),
            Self::Input(_) | Self::Settings(_) => exit::USAGE,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::TimeOver(_) => exit::TIME_OVER,
            Self::Answered(_) | Self::Ended(_) | Self::Output(_) | Self::Setup(_) => exit::FAILED,
        }
    }
}

fn code_of_client(error: &ltm_client::Error) -> u8 {
    match error {
        _ if error.is_temporary() => exit::UNAVAILABLE,
        // The URL leads to the other service, or to another server.
        _ if error.is(ProblemKind::NotFound) => exit::USAGE,
        ltm_client::Error::Problem { problem, .. } => match problem.status {
            404 | 410 => exit::NOT_FOUND,
            409 | 412 => exit::CONFLICT,
            _ => exit::REFUSED,
        },
        ltm_client::Error::Closed { code, .. } => match code {
            4404 | 4410 => exit::NOT_FOUND,
            4409 => exit::CONFLICT,
            1012 | 1013 => exit::UNAVAILABLE,
            _ => exit::REFUSED,
        },
        ltm_client::Error::Lost { .. } => exit::UNAVAILABLE,
        ltm_client::Error::Input(_) | ltm_client::Error::Url(_) => exit::USAGE,
        _ => exit::FAILED,
    }
}

fn code_of_store(error: &StoreError) -> u8 {
    match error {
        StoreError::Unknown(_) | StoreError::UnknownKey(_) | StoreError::Deleted { .. } => {
            exit::NOT_FOUND
        }
        StoreError::Setting { .. } => exit::USAGE,
        // A service tries again, because an operator may correct Redis meanwhile. A command does not.
        StoreError::Rejected(Rejection::Credentials(_)) => exit::REFUSED,
        error if error.is_temporary() => exit::UNAVAILABLE,
        StoreError::Rejected(_) => exit::REFUSED,
        _ => exit::FAILED,
    }
}

/// An error of the client, for a terminal.
pub(crate) fn said(error: &ltm_client::Error) -> String {
    match error {
        ltm_client::Error::Problem { problem, .. } => shown(problem),
        ltm_client::Error::Refused { route } | ltm_client::Error::Transport { route, .. }
            if route.proxy().is_some() =>
        {
            format!("{error}; if it is not needed for this server, name the server in NO_PROXY")
        }
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
    use ltm_client::{Client, ListFilter};
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

    #[tokio::test]
    async fn a_refused_connection_names_the_ways_to_start_the_services() {
        let server = "http://127.0.0.1:1".parse().unwrap();
        let client = Client::builder(server).build().unwrap();
        let error = Error::Client(
            client
                .list(&ListFilter::default(), 1, None)
                .await
                .unwrap_err(),
        );
        assert_eq!(
            error.to_string(),
            "cannot reach http://127.0.0.1:1: connection refused; start the services with `ltm dev` or \
             `docker compose up`, or set their URL with --url"
        );
        assert_eq!(error.exit_code(), 6);
    }

    #[test]
    fn a_script_can_tell_failures_apart() {
        let code = |kind| {
            let problem = Box::new(Problem::new(kind, "what to do"));
            let retry_after = None;
            Error::from(ltm_client::Error::Problem {
                problem,
                retry_after,
            })
            .exit_code()
        };
        assert_eq!(code(ProblemKind::UnknownLtm), 3);
        assert_eq!(code(ProblemKind::DeletedLtm), 3);
        assert_eq!(code(ProblemKind::NotFound), 2);
        assert_eq!(code(ProblemKind::Forbidden), 4);
        assert_eq!(code(ProblemKind::InvalidRequest), 4);
        assert_eq!(code(ProblemKind::CursorMismatch), 5);
        assert_eq!(code(ProblemKind::Fenced), 5);
        assert_eq!(code(ProblemKind::Busy), 6);
        assert_eq!(code(ProblemKind::Unavailable), 6);
        let input = Error::Input("no JSON".into());
        assert_eq!(input.exit_code(), 2);
        assert_eq!(input.of_snapshot(3).exit_code(), 2);
        assert_eq!(Error::TimeOver("late".into()).exit_code(), 124);
        assert_eq!(Error::Ended("2 faults".into()).exit_code(), 1);
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
