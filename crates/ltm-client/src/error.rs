//! Why something failed.

use std::{error::Error as StdError, io, time::Duration};

use ltm_types::{Problem, ProblemKind};

use crate::ServerUrl;

/// Why a call failed, or why there is nothing more to follow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service said no, and why (`docs/errors.md`).
    #[error("{}", .problem.detail)]
    Problem {
        /// What it said.
        problem: Box<Problem>,
        /// How long it asks to wait before the next try.
        retry_after: Option<Duration>,
    },
    /// Something else than the service answered.
    #[error("{server} answered {status}: {text}; is it ltm-live that runs there?")]
    Answer {
        /// Who was asked.
        server: ServerUrl,
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer.
        text: String,
        /// How long it asks to wait before the next try.
        retry_after: Option<Duration>,
    },
    /// Nothing listens there.
    #[error("cannot reach {server}: connection refused")]
    Refused {
        /// Who was asked.
        server: ServerUrl,
    },
    /// There was no connection, or no whole answer came in time.
    #[error("cannot reach {server}: {detail}")]
    Transport {
        /// Who was asked.
        server: ServerUrl,
        /// What went wrong.
        detail: String,
    },
    /// A connection over which messages came was lost.
    #[error("disconnected: {detail}")]
    Lost {
        /// What went wrong.
        detail: String,
    },
    /// The gateway closed the connection.
    #[error("the gateway ended it: {reason} ({code})")]
    Closed {
        /// The close code (`docs/errors.md`).
        code: u16,
        /// Why.
        reason: String,
    },
    /// What came cannot be understood, or is more than is taken.
    #[error("what {server} answered cannot be read ({detail}); is it ltm-live that runs there?")]
    Unreadable {
        /// Who sent it.
        server: ServerUrl,
        /// What is wrong with it.
        detail: String,
    },
    /// The view and what came do not belong together: the state is asked for again.
    #[error(transparent)]
    Misfit(#[from] crate::Misfit),
    /// What is to be sent cannot be written as JSON.
    #[error("not JSON: {0}")]
    Input(#[source] serde_json::Error),
    /// The source of tokens gives none.
    #[error("there is no token: {0}")]
    Token(#[source] Box<dyn StdError + Send + Sync>),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Setup(#[source] reqwest::Error),
    /// The text is not the address of a server.
    #[error(transparent)]
    Url(#[from] crate::ServerUrlError),
}

impl Error {
    /// What went wrong between here and the server.
    pub(crate) fn transport(server: &ServerUrl, error: &reqwest::Error) -> Self {
        let mut cause = error.source();
        let mut last = error.to_string();
        while let Some(inner) = cause {
            if is_refused(inner) {
                let server = server.clone();
                return Self::Refused { server };
            }
            last = inner.to_string();
            cause = inner.source();
        }
        let detail = if error.is_timeout() {
            "no answer in time".into()
        } else {
            last
        };
        let server = server.clone();
        Self::Transport { server, detail }
    }

    /// Whether the same call may succeed in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Problem { problem, .. } => passes(problem.status),
            Self::Answer { status, .. } => passes(*status),
            other => other.is_unreachable(),
        }
    }

    /// Whether nobody answered.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Transport { .. })
    }

    /// Whether the service said no for this reason.
    pub fn is(&self, kind: ProblemKind) -> bool {
        self.problem().is_some_and(|problem| problem.is(kind))
    }

    /// What the service said, where it said no.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// How long the service asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem { retry_after, .. } | Self::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the token was refused.
    pub(crate) fn asks_for_token(&self) -> bool {
        self.is(ProblemKind::Unauthenticated)
    }
}

/// Whether an answer with this status says to try again.
fn passes(status: u16) -> bool {
    // Also what an operator has to mend (500): whoever follows goes on once that is done.
    matches!(status, 408 | 425 | 429 | 500..)
}

/// Whether an error is a refused connection.
pub(crate) fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_stays() {
        let problem = |kind| Error::Problem {
            problem: Box::new(Problem::new(kind, "what to do")),
            retry_after: None,
        };
        assert!(problem(ProblemKind::Busy).is_passing());
        assert!(problem(ProblemKind::TooManyRequests).is_passing());
        assert!(problem(ProblemKind::DamagedLog).is_passing());
        for kind in [
            ProblemKind::UnknownLtm,
            ProblemKind::Fenced,
            ProblemKind::CursorMismatch,
        ] {
            let refused = problem(kind);
            assert!(!refused.is_passing() && refused.is(kind));
        }
        let lost = Error::Closed {
            code: 4404,
            reason: "no such LTM".into(),
        };
        assert!(!lost.is_passing());
        assert_eq!(lost.to_string(), "the gateway ended it: no such LTM (4404)");
    }
}
