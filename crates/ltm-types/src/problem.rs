//! Problem details (RFC 9457): the body of every error response.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Cursor;

/// Makes the enum of all kinds from one table, so that no list of them can miss one.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => ($name:literal, $status:literal, $title:literal),)*) => {
        /// The kinds of problem: a stable part of the API. `docs/errors.md` tells clients what to do about each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)*
        }

        impl ProblemKind {
            /// Every kind, in the order of the table in `docs/errors.md`.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The last part of the type URI, the HTTP status and the title.
            pub fn facts(self) -> (&'static str, u16, &'static str) {
                match self {
                    $(Self::$kind => ($name, $status, $title),)*
                }
            }
        }
    };
}

kinds! {
    /// A field of the body, path or query is missing or wrong.
    InvalidRequest => ("invalid-request", 422, "Invalid request"),
    /// The query or a header holds a malformed cursor.
    InvalidCursor => ("invalid-cursor", 400, "Invalid cursor"),
    /// The patch does not apply to the current state.
    PatchFailed => ("patch-failed", 422, "The patch does not apply"),
    /// The new state would be larger or deeper than allowed.
    StateTooLarge => ("state-too-large", 422, "The state would be too large"),
    /// The path does not exist.
    NotFound => ("not-found", 404, "Path not found"),
    /// No LTM has this id.
    UnknownLtm => ("unknown-ltm", 404, "LTM not found"),
    /// The LTM with this id was deleted.
    DeletedLtm => ("deleted-ltm", 410, "The LTM was deleted"),
    /// Retention has removed that part of the history.
    Trimmed => ("trimmed", 422, "That part of the history was removed"),
    /// The path exists, but not with this method.
    MethodNotAllowed => ("method-not-allowed", 405, "Method not allowed"),
    /// The chosen id is in use.
    IdTaken => ("id-taken", 409, "The id is in use"),
    /// Other writers won every attempt.
    Busy => ("busy", 503, "Too many concurrent writers"),
    /// A producer with a higher epoch has written.
    Fenced => ("fenced", 409, "A newer producer has taken over"),
    /// The Idempotency-Key was used for another request.
    KeyReused => ("key-reused", 422, "The Idempotency-Key was used for another request"),
    /// `If-Match` names another cursor than the current one.
    CursorMismatch => ("cursor-mismatch", 412, "The LTM has changed"),
    /// The body is larger than allowed.
    BodyTooLarge => ("body-too-large", 413, "The body is too large"),
    /// The content type of the body is not JSON.
    UnsupportedMediaType => ("unsupported-media-type", 415, "The content type is not JSON"),
    /// The body did not arrive in time.
    RequestTimeout => ("request-timeout", 408, "The body did not arrive in time"),
    /// The credential is missing or not valid.
    Unauthenticated => ("unauthenticated", 401, "Authentication required"),
    /// The grant of the caller does not allow this.
    Forbidden => ("forbidden", 403, "Not allowed"),
    /// The origin of the web page is not allowed.
    OriginForbidden => ("origin-forbidden", 403, "The origin is not allowed"),
    /// The service does not answer under the host name of the request.
    UnknownHost => ("unknown-host", 421, "The host is not known"),
    /// One address or caller sends too many requests, or has too many connections.
    TooManyRequests => ("too-many-requests", 429, "Too many requests"),
    /// A limit of the service is reached.
    OverLimit => ("over-limit", 503, "A limit is reached"),
    /// Redis is unavailable, or the service is stopping.
    Unavailable => ("unavailable", 503, "The service is unavailable"),
    /// The log holds an entry that cannot be read.
    DamagedLog => ("damaged-log", 500, "The log is damaged"),
    /// The service has a fault.
    Internal => ("internal", 500, "Internal error"),
}

/// The body of an error response (`application/problem+json`).
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
    /// The field, header or query parameter that is wrong: a path such as `patch[2].path`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The index of the patch operation that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<usize>,
    /// The current cursor of the LTM, if the request named another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cursor: Option<Cursor>,
    /// The id of the request in the log of the service.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// The error code of RFC 6750 for the token of the request. It goes into a header.
    #[serde(skip)]
    pub token_error: Option<&'static str>,
    /// After how many seconds the client may try again, if that is known. It goes into a header.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this kind. A longer detail than [`MAX_DETAIL`] is cut.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let detail = shortened(detail.into(), MAX_DETAIL);
        let (name, status, title) = kind.facts();
        Self {
            r#type: format!("urn:ltm-live:problem:{name}"),
            title: title.into(),
            status,
            detail,
            field: None,
            operation: None,
            cursor: None,
            request_id: None,
            token_error: None,
            retry_after: None,
        }
    }

    /// Whether it has this kind.
    pub fn is(&self, kind: ProblemKind) -> bool {
        let name = self.r#type.strip_prefix("urn:ltm-live:problem:");
        name == Some(kind.facts().0)
    }

    /// Adds the field that is wrong. A longer name than [`MAX_QUOTED`] is cut.
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(shortened(field.into(), MAX_QUOTED));
        self
    }

    /// Adds the error code of RFC 6750 for the token of the request.
    pub fn with_token_error(mut self, error: Option<&'static str>) -> Self {
        self.token_error = error;
        self
    }

    /// Adds after how many seconds the client may try again.
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds the current cursor of the LTM.
    pub fn with_cursor(mut self, cursor: Cursor) -> Self {
        self.cursor = Some(cursor);
        self
    }
}

/// The most characters of a detail, whatever it quotes.
const MAX_DETAIL: usize = 1000;

/// The most characters that an error quotes from its input.
pub const MAX_QUOTED: usize = 200;

/// The first [`MAX_QUOTED`] characters of a text, with `…` if there are more.
pub fn shorten(text: &str) -> Cow<'_, str> {
    shorten_to(text, MAX_QUOTED)
}

/// The first characters of a text, at most this many, with `…` if there are more.
pub fn shorten_to(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

fn shortened(text: String, max: usize) -> String {
    match shorten_to(&text, max) {
        Cow::Borrowed(_) => text,
        Cow::Owned(short) => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(shorten(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(shorten(&"é".repeat(201)), "é".repeat(200) + "…");
    }

    #[test]
    fn every_kind_has_its_row_in_the_documentation() {
        let page = include_str!("../../../docs/errors.md");
        for kind in ProblemKind::ALL.iter().copied() {
            let (name, status, _) = kind.facts();
            assert!(
                page.contains(&format!("| `{name}` | {status} |")),
                "docs/errors.md lacks {name} {status}"
            );
        }
    }
}
