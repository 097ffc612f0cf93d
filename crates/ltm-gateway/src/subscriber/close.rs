//! Why a subscription ends, and the close code that says so.

use actix_ws::{CloseCode, CloseReason};
use ltm_service::auth::AuthError;
use ltm_store::StoreError;
use ltm_types::{LtmId, Problem, ProblemKind};
use serde_json::{Value, json};

/// Why a subscription ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloseCause {
    #[error("there is no LTM {0}")]
    Unknown(LtmId),
    #[error("the LTM was deleted")]
    Deleted,
    #[error("{0}")]
    Invalid(String),
    #[error("no longer followed")]
    Unfollowed,
    #[error(
        "the log no longer continues what was sent: fetch the document and connect with its cursor"
    )]
    Forked,
    #[error("the gateway restarts: connect again with the last cursor")]
    Restarting,
    #[error("{0}: connect again later")]
    OverLimit(String),
    #[error("this service takes no messages of that size or at that rate")]
    TooMuchText,
    #[error("the token has expired: connect again with a new one and the last cursor")]
    Expired,
    #[error("{0}")]
    Refused(String),
    #[error("a frame is larger than this service takes")]
    FrameTooBig,
    #[error("what the client sent is not the WebSocket protocol (RFC 6455)")]
    Malformed,
    #[error("a text of the client is not UTF-8")]
    NotUtf8,
    #[error("the log cannot be read: an operator must look at it")]
    Damaged,
    #[error("nothing came from the client for two ping intervals")]
    Silent,
    #[error("the client has left")]
    Left,
}

impl CloseCause {
    /// The name that metrics have for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::Deleted => "deleted",
            Self::Invalid(_) => "invalid",
            Self::Unfollowed => "unfollowed",
            Self::Forked => "forked",
            Self::Restarting => "restarting",
            Self::OverLimit(_) => "over-limit",
            Self::TooMuchText => "talkative",
            Self::Expired => "expired",
            Self::Refused(_) => "refused",
            Self::FrameTooBig => "frame-too-big",
            Self::Malformed => "malformed",
            Self::NotUtf8 => "not-utf8",
            Self::Damaged => "damaged",
            Self::Silent => "silent",
            Self::Left => "left",
        }
    }

    /// What a message says of it that stands for a close.
    pub(crate) fn to_json(&self) -> Value {
        json!({"code": u16::from(self.close_code()), "reason": self.to_string()})
    }

    /// The answer where a subscription cannot begin.
    pub(crate) fn problem(&self) -> Problem {
        let kind = match self {
            Self::Unknown(_) => ProblemKind::UnknownLtm,
            Self::Deleted => ProblemKind::DeletedLtm,
            Self::OverLimit(_) => ProblemKind::OverLimit,
            Self::Damaged => ProblemKind::DamagedLog,
            Self::Expired | Self::Refused(_) => ProblemKind::Forbidden,
            _ => ProblemKind::Unavailable,
        };
        Problem::new(kind, self.to_string())
    }

    /// What the close frame says.
    pub(crate) fn close_reason(&self) -> CloseReason {
        let mut description = self.to_string();
        // RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the code.
        while description.len() > 123 {
            description.pop();
        }
        CloseReason {
            code: self.close_code(),
            description: Some(description),
        }
    }

    fn close_code(&self) -> CloseCode {
        match self {
            Self::Unknown(_) => CloseCode::Other(4404),
            Self::Deleted => CloseCode::Other(4410),
            Self::Invalid(_) => CloseCode::Other(4400),
            Self::Forked => CloseCode::Other(4409),
            Self::Restarting => CloseCode::Restart,
            Self::OverLimit(_) => CloseCode::Again,
            Self::TooMuchText | Self::Expired | Self::Refused(_) => CloseCode::Policy,
            Self::FrameTooBig => CloseCode::Size,
            Self::Malformed => CloseCode::Protocol,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::Damaged | Self::Silent => CloseCode::Error,
            Self::Left | Self::Unfollowed => CloseCode::Normal,
        }
    }
}

impl From<AuthError> for CloseCause {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(StoreError::Unknown(id)) => Self::Unknown(id),
            AuthError::Store(StoreError::Deleted { .. }) => Self::Deleted,
            AuthError::Store(_) => Self::OverLimit("Redis is unavailable".into()),
            error => Self::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_code_that_the_description_tells() {
        let text = || "why".to_owned();
        for end in [
            CloseCause::Unknown(LtmId::new(1).unwrap()),
            CloseCause::Deleted,
            CloseCause::Invalid(text()),
            CloseCause::Unfollowed,
            CloseCause::Forked,
            CloseCause::Restarting,
            CloseCause::OverLimit(text()),
            CloseCause::TooMuchText,
            CloseCause::Expired,
            CloseCause::Refused(text()),
            CloseCause::FrameTooBig,
            CloseCause::Malformed,
            CloseCause::NotUtf8,
            CloseCause::Damaged,
            CloseCause::Silent,
            CloseCause::Left,
        ] {
            let code = u16::from(end.close_code());
            assert!(ltm_docs::CLOSES.iter().any(|it| it.code == code), "{code}");
        }
    }

    #[test]
    fn a_reason_fits_into_a_close_frame() {
        let long = CloseCause::OverLimit("é".repeat(100)).close_reason();
        assert!(long.description.is_some_and(|text| text.len() <= 123));
        assert_eq!(
            CloseCause::Restarting.close_reason().code,
            CloseCode::Restart
        );
        assert_eq!(u16::from(CloseCode::Restart), 1012);
        assert_eq!(u16::from(CloseCode::Again), 1013);
    }
}
