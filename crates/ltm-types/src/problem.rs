//! RFC 9457 problem details: the body of an error answer.

use serde::{Deserialize, Serialize};

use crate::Cursor;

/// Defines the kinds, so that each has a name, a status, a title and a place in `ALL`.
macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $kind:ident($name:literal, $status:literal, $title:literal),)*) => {
        /// The kinds of problem: a stable part of the API. `docs/errors.md` says what to do about each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)*
        }

        impl ProblemKind {
            /// Every kind, in the order of the table in `docs/errors.md`.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The last part of the type URI, the HTTP status and the title.
            pub fn facts(self) -> (&'static str, u16, &'static str) {
                match self {
                    $(Self::$kind => ($name, $status, $title),)*
                }
            }
        }
    };
}

problem_kinds! {
    /// A field of the body, path or query is missing or invalid.
    InvalidRequest("invalid-request", 422, "The request is not valid"),
    /// The cursor in a query or header is not valid.
    InvalidCursor("invalid-cursor", 400, "Not a cursor"),
    /// The patch does not apply to the current state.
    PatchFailed("patch-failed", 422, "The patch does not apply"),
    /// The result would be larger or deeper than the limits allow.
    StateTooLarge("state-too-large", 422, "The state would be too large"),
    /// There is no such path.
    NotFound("not-found", 404, "No such path"),
    /// There is no LTM with this id.
    UnknownLtm("unknown-ltm", 404, "No such LTM"),
    /// The LTM with this id was deleted.
    DeletedLtm("deleted-ltm", 410, "The LTM was deleted"),
    /// Retention has removed that part of the LTM's history.
    Trimmed("trimmed", 422, "No longer kept"),
    /// The path exists, but not with this method.
    MethodNotAllowed("method-not-allowed", 405, "Method not allowed"),
    /// The chosen id is taken.
    IdTaken("id-taken", 409, "The id is taken"),
    /// Other producers wrote at the same time, again and again.
    Busy("busy", 503, "Too many writers at once"),
    /// A higher epoch of the same producer has written.
    Fenced("fenced", 409, "A newer producer has taken over"),
    /// The Idempotency-Key was used with another request.
    KeyReused("key-reused", 422, "The Idempotency-Key belongs to another request"),
    /// `If-Match` names another cursor than the current one.
    CursorMismatch("cursor-mismatch", 412, "The LTM has moved on"),
    /// The body is larger than the limit.
    BodyTooLarge("body-too-large", 413, "The body is too large"),
    /// The body is not declared as JSON.
    UnsupportedMediaType("unsupported-media-type", 415, "The body is not declared as JSON"),
    /// The body did not arrive in time.
    RequestTimeout("request-timeout", 408, "The body did not arrive in time"),
    /// The credential is missing or not good.
    Unauthenticated("unauthenticated", 401, "Authentication required"),
    /// The credential does not allow this.
    Forbidden("forbidden", 403, "Not allowed"),
    /// The request comes from a page whose origin is not allowed.
    OriginForbidden("origin-forbidden", 403, "The origin is not allowed"),
    /// One client address does too much.
    TooManyRequests("too-many-requests", 429, "Too many requests from one address"),
    /// A limit is reached.
    OverLimit("over-limit", 503, "A limit is reached"),
    /// Redis is unavailable, or the service is stopping.
    Unavailable("unavailable", 503, "The service is not available"),
    /// The log in Redis is damaged.
    DamagedLog("damaged-log", 500, "The log is damaged"),
    /// A fault of the service.
    Internal("internal", 500, "The service failed"),
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
    /// What happened, and what to do.
    pub detail: String,
    /// The invalid field, header or query parameter: a path such as `patch[2].path`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The index of the patch operation that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<usize>,
    /// The LTM's current cursor, if the request named another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cursor: Option<Cursor>,
    /// The id of the request; the service's log contains it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// The error code of RFC 6750 for the token. It goes into the header `WWW-Authenticate`.
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

    /// The same, with the invalid field.
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with the error code of RFC 6750 for the token.
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
