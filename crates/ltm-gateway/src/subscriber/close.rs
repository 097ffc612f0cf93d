//! Why a subscription ends, and the close code that tells the client whether to reconnect.

use actix_ws::{CloseCode, CloseReason};
use ltm_auth::{AuthError, Rejection};
use ltm_store::StoreError;
use ltm_types::{LtmRef, Problem, ProblemKind};
use serde_json::{Value, json};

use crate::compression::inflate::InflateError;

/// The longest reason, in bytes: a control frame holds 125, two of them the code (RFC 6455 section 5.5).
const MAX_REASON: usize = 123;

/// Why a subscription ends. Its text is the reason that the client gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloseCause {
    #[error("there is no LTM {0}")]
    Unknown(LtmRef),
    #[error("the LTM was deleted")]
    Deleted,
    #[error("{0}")]
    Invalid(String),
    #[error("no longer followed")]
    Unfollowed,
    #[error(
        "the log no longer continues your cursor: fetch the document and connect with its cursor"
    )]
    Forked,
    #[error("the gateway restarts: reconnect with the last cursor")]
    Restarting,
    #[error("{0}: reconnect later")]
    OverLimit(String),
    #[error("too much text from the client (gateway.max_message, gateway.max_messages)")]
    TooMuchText,
    #[error("the credential has expired: reconnect with a new one and the last cursor")]
    Expired,
    #[error("{0}")]
    Unauthenticated(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("a frame of the client is too large (gateway.max_frame)")]
    FrameTooBig,
    #[error("the client does not follow the WebSocket protocol (RFC 6455, RFC 7692)")]
    Malformed,
    #[error("a text of the client is not UTF-8")]
    NotUtf8,
    #[error("the log is damaged: an operator has to act")]
    Damaged,
    #[error("the client sent nothing for two ping intervals")]
    Silent,
    #[error("the client left")]
    Left,
    #[error("the client accepts nothing (gateway.write_stall)")]
    Stalled,
    #[error("the run has ended")]
    Finished,
}

/// Why a connection did not take frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// Something waits already, or the connection has ended.
    Busy,
    /// They are large, and too many other large messages wait (`gateway.large_messages`).
    NoRoom,
}

impl CloseCause {
    /// The value of the label `reason` in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::Deleted => "deleted",
            Self::Invalid(_) => "invalid",
            Self::Unfollowed => "unfollowed",
            Self::Forked => "forked",
            Self::Restarting => "restarting",
            Self::OverLimit(_) => "over-limit",
            Self::TooMuchText => "too-much-text",
            Self::Expired => "expired",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::FrameTooBig => "frame-too-big",
            Self::Malformed => "malformed",
            Self::NotUtf8 => "not-utf8",
            Self::Damaged => "damaged",
            Self::Silent => "silent",
            Self::Left => "left",
            Self::Stalled => "stalled",
            Self::Finished => "finished",
        }
    }

    /// Whether the client does not come back with its cursor, so that it must have got everything before.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Deleted | Self::Forked)
    }

    /// The member `end` of a message or an event that stands for a close.
    pub(crate) fn to_json(&self) -> Value {
        json!({"code": u16::from(self.code()), "reason": self.to_string()})
    }

    /// The HTTP answer if a subscription cannot start.
    pub(crate) fn problem(&self) -> Problem {
        let kind = match self {
            Self::Unknown(_) => ProblemKind::UnknownLtm,
            Self::Deleted => ProblemKind::DeletedLtm,
            Self::OverLimit(_) => ProblemKind::OverLimit,
            Self::Damaged => ProblemKind::DamagedLog,
            Self::Expired | Self::Unauthenticated(_) => ProblemKind::Unauthenticated,
            Self::Forbidden(_) => ProblemKind::Forbidden,
            _ => ProblemKind::Unavailable,
        };
        Problem::new(kind, self.to_string())
    }

    /// The content of the close frame.
    pub(crate) fn close_reason(&self) -> CloseReason {
        let mut description = self.to_string();
        while description.len() > MAX_REASON {
            description.pop();
        }
        CloseReason {
            code: self.code(),
            description: Some(description),
        }
    }

    fn code(&self) -> CloseCode {
        match self {
            Self::Unknown(_) => CloseCode::Other(4404),
            Self::Deleted => CloseCode::Other(4410),
            Self::Invalid(_) => CloseCode::Other(4400),
            Self::Expired | Self::Unauthenticated(_) => CloseCode::Other(4401),
            Self::Forbidden(_) => CloseCode::Other(4403),
            Self::Forked => CloseCode::Other(4409),
            Self::Restarting => CloseCode::Restart,
            Self::OverLimit(_) => CloseCode::Again,
            Self::TooMuchText => CloseCode::Policy,
            Self::FrameTooBig => CloseCode::Size,
            Self::Malformed => CloseCode::Protocol,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::Damaged | Self::Silent | Self::Stalled => CloseCode::Error,
            Self::Left | Self::Unfollowed | Self::Finished => CloseCode::Normal,
        }
    }
}

impl From<StoreError> for CloseCause {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown(id) => Self::Unknown(id.into()),
            StoreError::UnknownKey(key) => Self::Unknown(key.into()),
            StoreError::Deleted { .. } => Self::Deleted,
            error if error.is_temporary() => Self::OverLimit("Redis is unavailable".into()),
            _ => Self::Damaged,
        }
    }
}

impl From<NotSent> for CloseCause {
    /// For a connection on which nothing waited before.
    fn from(error: NotSent) -> Self {
        match error {
            NotSent::Busy => Self::Left,
            NotSent::NoRoom => Self::OverLimit(
                "too many large messages wait for slow subscribers (gateway.large_messages)".into(),
            ),
        }
    }
}

impl From<InflateError> for CloseCause {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooLong => Self::TooMuchText,
            InflateError::Invalid => Self::Malformed,
        }
    }
}

impl From<AuthError> for CloseCause {
    fn from(error: AuthError) -> Self {
        if let AuthError::Store(error) = error {
            return error.into();
        }
        let reason = error.to_string();
        match error.rejection() {
            Rejection::Unauthenticated => Self::Unauthenticated(reason),
            Rejection::Forbidden => Self::Forbidden(reason),
            Rejection::Unavailable => Self::OverLimit(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::successors;

    use ltm_auth::{Access, TokenError};
    use ltm_types::LtmId;

    use super::*;

    /// The cause after this one in the order of the enum. A new variant does not compile until it is here.
    fn next(cause: &CloseCause) -> Option<CloseCause> {
        let text = || "why".to_owned();
        Some(match cause {
            CloseCause::Unknown(_) => CloseCause::Deleted,
            CloseCause::Deleted => CloseCause::Invalid(text()),
            CloseCause::Invalid(_) => CloseCause::Unfollowed,
            CloseCause::Unfollowed => CloseCause::Forked,
            CloseCause::Forked => CloseCause::Restarting,
            CloseCause::Restarting => CloseCause::OverLimit(text()),
            CloseCause::OverLimit(_) => CloseCause::TooMuchText,
            CloseCause::TooMuchText => CloseCause::Expired,
            CloseCause::Expired => CloseCause::Unauthenticated(text()),
            CloseCause::Unauthenticated(_) => CloseCause::Forbidden(text()),
            CloseCause::Forbidden(_) => CloseCause::FrameTooBig,
            CloseCause::FrameTooBig => CloseCause::Malformed,
            CloseCause::Malformed => CloseCause::NotUtf8,
            CloseCause::NotUtf8 => CloseCause::Damaged,
            CloseCause::Damaged => CloseCause::Silent,
            CloseCause::Silent => CloseCause::Left,
            CloseCause::Left => CloseCause::Stalled,
            CloseCause::Stalled => CloseCause::Finished,
            CloseCause::Finished => return None,
        })
    }

    #[test]
    fn every_cause_has_a_code_that_the_description_lists_and_a_name_of_its_own() {
        let first = CloseCause::Unknown(LtmId::new(1).unwrap().into());
        let mut names = Vec::new();
        for cause in successors(Some(first), next) {
            let code = u16::from(cause.code());
            assert!(ltm_docs::CLOSES.iter().any(|it| it.code == code), "{code}");
            assert!(!names.contains(&cause.name()), "{cause:?}");
            names.push(cause.name());
            let reason = cause.close_reason().description.unwrap();
            assert_eq!(reason, cause.to_string(), "it fits into a close frame");
        }
    }

    #[test]
    fn a_reason_fits_into_a_close_frame() {
        let long = CloseCause::OverLimit("é".repeat(100)).close_reason();
        assert!(
            long.description
                .is_some_and(|text| text.len() <= MAX_REASON)
        );
        assert_eq!(
            CloseCause::Restarting.close_reason().code,
            CloseCode::Restart
        );
        assert_eq!(u16::from(CloseCode::Restart), 1012);
        assert_eq!(u16::from(CloseCode::Again), 1013);
    }

    #[test]
    fn a_credential_that_is_not_good_is_told_from_one_that_does_not_allow_it() {
        for (error, code) in [
            (AuthError::Missing, 4401),
            (AuthError::InvalidToken(TokenError::Expired), 4401),
            (AuthError::NoKeys("auth.jwks_url was not read yet"), 1013),
            (
                AuthError::NotThisClass {
                    name: "reader".into(),
                    access: Access::Read,
                    class: "app.Agent".into(),
                },
                4403,
            ),
        ] {
            let cause = CloseCause::from(error);
            assert_eq!(u16::from(cause.code()), code, "{cause}");
        }
    }
}
