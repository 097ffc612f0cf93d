//! The errors of the client.

use std::{error::Error as StdError, fmt::Display, io, time::Duration};

use ltm_types::{Cursor, Problem, ProblemKind};

use crate::{Route, ServerUrl};

/// Why a call failed, or why a stream ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service rejected the request with a problem (`docs/errors.md`).
    #[error("{}", .problem.detail)]
    Problem {
        /// The problem.
        problem: Box<Problem>,
        /// How long the service asks the client to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The answer is not one of ltm-live.
    #[error("{server} answered {status}: {text}; does ltm-live run there?")]
    Answer {
        /// The server.
        server: ServerUrl,
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer's body.
        text: String,
        /// How long the service asks the client to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// No program listens at the address, or at that of the proxy.
    #[error("cannot reach {route}: connection refused")]
    Refused {
        /// The way to the server.
        route: Box<Route>,
    },
    /// The client could not connect, or did not get a complete answer in time.
    #[error("cannot reach {route}: {detail}")]
    Transport {
        /// The way to the server.
        route: Box<Route>,
        /// What went wrong.
        detail: String,
    },
    /// The connection of a subscriber was lost.
    #[error("disconnected: {detail}")]
    Lost {
        /// What went wrong.
        detail: String,
    },
    /// The gateway closed the connection.
    #[error("the gateway closed the connection: {reason} ({code})")]
    Closed {
        /// The close code (`docs/errors.md`).
        code: u16,
        /// Why.
        reason: String,
    },
    /// An answer or a message cannot be parsed, or is too large.
    #[error("cannot read the answer of {server}: {detail}; does ltm-live run there?")]
    Unreadable {
        /// The server that sent it.
        server: ServerUrl,
        /// What is wrong with it.
        detail: String,
    },
    /// A message does not fit the view. The client requests the state again.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The body of a request cannot be written as JSON.
    #[error("cannot write the request as JSON: {0}")]
    Input(#[source] serde_json::Error),
    /// The token source failed.
    #[error("cannot get a token: {0}")]
    Token(#[source] Box<dyn StdError + Send + Sync>),
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client: {}", cause(.0))]
    Setup(#[source] reqwest::Error),
    /// The text is not the URL of a server.
    #[error(transparent)]
    Url(#[from] crate::ServerUrlError),
}

/// The error for an event that does not fit a view.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message at {cursor} does not fit the view: {detail}")]
pub struct Misfit {
    /// The cursor of the message.
    pub cursor: Cursor,
    /// What is wrong.
    pub detail: String,
}

/// The innermost cause: an error of the HTTP client itself says only "builder error".
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Error {
    /// The error for an answer or a message that cannot be parsed.
    pub(crate) fn unreadable(server: &ServerUrl, detail: impl Display) -> Self {
        Self::Unreadable {
            server: server.clone(),
            detail: detail.to_string(),
        }
    }

    /// The error for a request that got no complete answer.
    pub(crate) fn transport(route: &Route, error: &reqwest::Error) -> Self {
        let route = Box::new(route.clone());
        let mut cause = error.source();
        let mut last = error.to_string();
        while let Some(inner) = cause {
            if is_refused(inner) {
                return Self::Refused { route };
            }
            last = inner.to_string();
            cause = inner.source();
        }
        let detail = if error.is_timeout() {
            "no answer in time".into()
        } else {
            last
        };
        Self::Transport { route, detail }
    }

    /// Whether a retry may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Problem { problem, .. } => is_temporary(problem.status),
            Self::Answer { status, .. } => is_temporary(*status),
            other => other.is_unreachable(),
        }
    }

    /// Whether no service answered.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Transport { .. })
    }

    /// Whether the service rejected the request with this problem.
    pub fn is(&self, kind: ProblemKind) -> bool {
        self.problem().is_some_and(|problem| problem.is(kind))
    }

    /// The problem, if the service rejected the request with one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// The snapshot of a batch for which the service rejected the request, from 0.
    pub fn snapshot(&self) -> Option<usize> {
        let field = self.problem()?.field.as_deref()?;
        let (index, _) = field.strip_prefix("snapshots[")?.split_once(']')?;
        index.parse().ok()
    }

    /// How long the service asks the client to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem { retry_after, .. } | Self::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the service rejected the token.
    pub(crate) fn rejects_token(&self) -> bool {
        self.is(ProblemKind::Unauthenticated)
    }
}

/// Whether a retry may succeed after an answer with this status.
fn is_temporary(status: u16) -> bool {
    // An operator has to repair the cause of a 500. Subscribers resume afterwards.
    matches!(status, 408 | 425 | 429 | 500..)
}

/// Whether an error is a refused connection.
fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_errors_are_told_from_permanent_ones() {
        let problem = |kind| Error::Problem {
            problem: Box::new(Problem::new(kind, "what to do")),
            retry_after: None,
        };
        assert!(problem(ProblemKind::Busy).is_temporary());
        assert!(problem(ProblemKind::TooManyRequests).is_temporary());
        assert!(problem(ProblemKind::DamagedLog).is_temporary());
        for kind in [
            ProblemKind::UnknownLtm,
            ProblemKind::Fenced,
            ProblemKind::CursorMismatch,
        ] {
            let refused = problem(kind);
            assert!(!refused.is_temporary() && refused.is(kind));
        }
        let lost = Error::Closed {
            code: 4404,
            reason: "no such LTM".into(),
        };
        assert!(!lost.is_temporary());
        assert_eq!(
            lost.to_string(),
            "the gateway closed the connection: no such LTM (4404)"
        );
    }
}
