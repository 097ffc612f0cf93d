//! Why a command failed.

use std::{
    error::Error as _,
    io::{self, ErrorKind},
};

use ltm_service::SettingsError;
use ltm_store::StoreError;
use ltm_types::Problem;

use crate::{output::printable, server_url::ServerUrl};

/// What a shell reports of a program that wrote into a closed pipe: 128 and SIGPIPE.
const BROKEN_PIPE: u8 = 141;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service said no.
    #[error("{}", shown(.0))]
    Problem(Box<Problem>),
    /// Something else than the service answered.
    #[error("{server} answered {status}: {text}; is it ltm-live that runs there?")]
    Answer {
        /// Who was asked.
        server: ServerUrl,
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer.
        text: String,
    },
    /// Nothing listens there.
    #[error(
        "cannot reach {0}: connection refused; start the services with `ltm dev` or `docker compose up`, or say where they are with --url"
    )]
    Refused(ServerUrl),
    /// The connection failed, or no answer came in time.
    #[error("cannot reach {server}: {detail}")]
    Transport {
        /// Who was asked.
        server: ServerUrl,
        /// What went wrong.
        detail: String,
    },
    /// What the service sent cannot be understood.
    #[error("{0}")]
    Answered(String),
    /// What was given cannot be used.
    #[error("{0}")]
    Input(String),
    /// One of several snapshots was not taken; those before it were.
    #[error("snapshot {index}: {source}")]
    Snapshot {
        /// Its place in the input, from 0.
        index: usize,
        /// Why.
        source: Box<Error>,
    },
    /// There is nothing more to follow.
    #[error("{0}")]
    Ended(String),
    /// Redis, or what it holds.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting of Redis is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Standard output takes nothing.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The process cannot be set up.
    #[error("{0}")]
    Setup(io::Error),
}

impl Error {
    /// What went wrong between here and the server.
    pub(crate) fn transport(server: &ServerUrl, error: &reqwest::Error) -> Self {
        let mut cause = error.source();
        let mut last = error.to_string();
        while let Some(inner) = cause {
            if is_refused(inner) {
                return Self::Refused(server.clone());
            }
            last = inner.to_string();
            cause = inner.source();
        }
        let detail = if error.is_timeout() {
            "no answer in time".into()
        } else {
            last
        };
        Self::Transport {
            server: server.clone(),
            detail,
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Transport { .. } => true,
            Self::Problem(problem) => passes(problem.status),
            Self::Answer { status, .. } => passes(*status),
            Self::Answered(_)
            | Self::Input(_)
            | Self::Snapshot { .. }
            | Self::Ended(_)
            | Self::Store(_)
            | Self::Settings(_)
            | Self::Output(_)
            | Self::Setup(_) => false,
        }
    }

    /// The same, naming the snapshot of the input that it is about.
    pub(crate) fn of_snapshot(self, index: usize) -> Self {
        if matches!(self, Self::Output(_)) {
            return self;
        }
        Self::Snapshot {
            index,
            source: Box::new(self),
        }
    }

    /// Whether the reader of the output has left, which is no failure to speak of.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_broken_pipe() {
            BROKEN_PIPE
        } else {
            1
        }
    }
}

/// Whether an answer with this status says to try again.
pub(crate) fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 502..=504)
}

/// Whether an error is a refused connection.
pub(crate) fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|io| io.kind() == ErrorKind::ConnectionRefused)
}

/// A problem as a line: what happened, its name in the documentation, and the request.
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
        let error = Error::Problem(Box::new(problem));
        assert_eq!(
            error.to_string(),
            "there is no LTM 7 (unknown-ltm, request 4f0c)"
        );
        assert!(!error.is_passing());
        let busy = Problem::new(ProblemKind::Busy, "busy");
        assert!(Error::Problem(Box::new(busy)).is_passing());
    }

    #[test]
    fn a_reader_that_left_is_not_worth_a_word() {
        let left = Error::Output(ErrorKind::BrokenPipe.into());
        assert!(left.is_broken_pipe());
        assert_eq!(left.exit_code(), 141);
        let full = Error::Output(ErrorKind::StorageFull.into());
        assert!(!full.is_broken_pipe());
        assert_eq!(full.exit_code(), 1);
    }
}
