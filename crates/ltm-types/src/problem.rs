//! RFC 9457 problem details: what an error answer says.

use serde::{Deserialize, Serialize};

use crate::Cursor;

/// The kinds of problem: a stable part of the API. `docs/errors.md` says what to do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// A field of the body, path or query is missing or wrong.
    InvalidRequest,
    /// The cursor in a query or header is not one.
    InvalidCursor,
    /// The patch does not apply to the state that it met.
    PatchFailed,
    /// The result would be larger or deeper than allowed.
    StateTooLarge,
    /// No such path.
    NotFound,
    /// No LTM with this id.
    UnknownLtm,
    /// The LTM with this id was deleted.
    DeletedLtm,
    /// That part of the LTM's history is no longer kept.
    Trimmed,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The chosen id is taken.
    IdTaken,
    /// Somebody else wrote meanwhile, again and again.
    Busy,
    /// A higher epoch of the same producer has written.
    Fenced,
    /// The Idempotency-Key was used with another request.
    KeyReused,
    /// `If-Match` names another cursor than the current one.
    CursorMismatch,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The caller does not say who they are, or cannot prove it.
    Unauthenticated,
    /// The caller may not do that.
    Forbidden,
    /// The page that asks is from an origin that is not allowed.
    OriginForbidden,
    /// One client address does too much.
    TooManyRequests,
    /// A limit on connections is reached.
    OverLimit,
    /// Redis does not answer, or the service is stopping.
    Unavailable,
    /// The log in Redis is not what it should be.
    DamagedLog,
    /// A fault of the service.
    Internal,
}

impl ProblemKind {
    /// Every kind, in the order of the table in `docs/errors.md`.
    pub const ALL: [Self; 25] = [
        Self::InvalidRequest,
        Self::InvalidCursor,
        Self::PatchFailed,
        Self::StateTooLarge,
        Self::NotFound,
        Self::UnknownLtm,
        Self::DeletedLtm,
        Self::Trimmed,
        Self::MethodNotAllowed,
        Self::IdTaken,
        Self::Busy,
        Self::Fenced,
        Self::KeyReused,
        Self::CursorMismatch,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::RequestTimeout,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::OriginForbidden,
        Self::TooManyRequests,
        Self::OverLimit,
        Self::Unavailable,
        Self::DamagedLog,
        Self::Internal,
    ];

    /// The last part of the type URI, the HTTP status and the title.
    pub fn facts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::InvalidRequest => ("invalid-request", 422, "The request is not valid"),
            Self::InvalidCursor => ("invalid-cursor", 400, "Not a cursor"),
            Self::PatchFailed => ("patch-failed", 422, "The patch does not apply"),
            Self::StateTooLarge => ("state-too-large", 422, "The state would be too large"),
            Self::NotFound => ("not-found", 404, "No such path"),
            Self::UnknownLtm => ("unknown-ltm", 404, "No such LTM"),
            Self::DeletedLtm => ("deleted-ltm", 410, "The LTM was deleted"),
            Self::Trimmed => ("trimmed", 422, "No longer kept"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "Method not allowed"),
            Self::IdTaken => ("id-taken", 409, "The id is taken"),
            Self::Busy => ("busy", 503, "Too many writers at once"),
            Self::Fenced => ("fenced", 409, "A newer producer has taken over"),
            Self::KeyReused => (
                "key-reused",
                422,
                "The Idempotency-Key belongs to another request",
            ),
            Self::CursorMismatch => ("cursor-mismatch", 412, "The LTM has moved on"),
            Self::BodyTooLarge => ("body-too-large", 413, "The body is too large"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "The body is not declared as JSON",
            ),
            Self::RequestTimeout => ("request-timeout", 408, "The body did not arrive in time"),
            Self::Unauthenticated => ("unauthenticated", 401, "It is not known who calls"),
            Self::Forbidden => ("forbidden", 403, "The caller may not do that"),
            Self::OriginForbidden => ("origin-forbidden", 403, "The origin is not allowed"),
            Self::TooManyRequests => ("too-many-requests", 429, "Too much from one address"),
            Self::OverLimit => ("over-limit", 503, "A limit is reached"),
            Self::Unavailable => ("unavailable", 503, "The service is not available"),
            Self::DamagedLog => ("damaged-log", 500, "The log is damaged"),
            Self::Internal => ("internal", 500, "The service failed"),
        }
    }
}

/// The body of an error answer (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable URI that names the kind: `urn:ltm-live:problem:<name>`.
    pub r#type: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do.
    pub detail: String,
    /// The field, header or query parameter that is wrong: a path such as `patch[2].path`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The index of the patch operation that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<usize>,
    /// The LTM's current cursor, where the request was about another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cursor: Option<Cursor>,
    /// The id of the request, as the service's log has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// What is wrong with the token that was shown, in the words of RFC 6750: it goes into a header.
    #[serde(skip)]
    pub token_error: Option<&'static str>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let (name, status, title) = kind.facts();
        Self {
            r#type: format!("urn:ltm-live:problem:{name}"),
            title: title.into(),
            status,
            detail: detail.into(),
            field: None,
            operation: None,
            cursor: None,
            request_id: None,
            token_error: None,
        }
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: ProblemKind) -> bool {
        let name = self.r#type.strip_prefix("urn:ltm-live:problem:");
        name == Some(kind.facts().0)
    }

    /// The same, naming the field that is wrong.
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with the word of RFC 6750 for what is wrong with the token that was shown.
    pub fn with_token_error(mut self, error: Option<&'static str>) -> Self {
        self.token_error = error;
        self
    }

    /// The same, with the LTM's current cursor.
    pub fn with_cursor(mut self, cursor: Cursor) -> Self {
        self.cursor = Some(cursor);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_row_in_the_documentation() {
        let page = include_str!("../../../docs/errors.md");
        for kind in ProblemKind::ALL {
            let (name, status, _) = kind.facts();
            assert!(
                page.contains(&format!("| `{name}` | {status} |")),
                "docs/errors.md lacks {name} {status}"
            );
        }
    }
}
