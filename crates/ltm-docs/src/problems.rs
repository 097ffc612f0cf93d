//! The problems that each call may return, from the same table that the services use.

use std::collections::BTreeMap;

use ltm_types::ProblemKind;
use utoipa::{
    IntoResponses, PartialSchema,
    openapi::{Content, Ref, RefOr, Response, ResponseBuilder, header::Header},
};

/// Of every call.
const ALWAYS: &[ProblemKind] = &[
    ProblemKind::InvalidRequest,
    ProblemKind::Unauthenticated,
    ProblemKind::Forbidden,
    ProblemKind::OriginForbidden,
    ProblemKind::UnknownHost,
    ProblemKind::TooManyRequests,
    ProblemKind::OverLimit,
    ProblemKind::Unavailable,
    ProblemKind::Internal,
];
/// Of a call about one LTM.
const OF_ONE: &[ProblemKind] = &[
    ProblemKind::UnknownLtm,
    ProblemKind::DeletedLtm,
    ProblemKind::DamagedLog,
];
/// Of a call with a body.
const WITH_BODY: &[ProblemKind] = &[
    ProblemKind::BodyTooLarge,
    ProblemKind::UnsupportedMediaType,
    ProblemKind::RequestTimeout,
];

macro_rules! problems {
    ($(#[$doc:meta] $name:ident = $($list:expr),+;)*) => {$(
        #[$doc]
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$($list),+])
            }
        }
    )*};
}

problems! {
    /// Of a call about no single LTM.
    ListProblems = ALWAYS;
    /// Of a call that revokes a credential.
    RevokeProblems = ALWAYS, WITH_BODY;
    /// Of a call that creates an LTM.
    CreateProblems = ALWAYS, WITH_BODY, &[
        ProblemKind::DeletedLtm, ProblemKind::DamagedLog, ProblemKind::IdTaken, ProblemKind::KeyReused,
        ProblemKind::StateTooLarge,
    ];
    /// Of a call that reads an LTM.
    ReadProblems = ALWAYS, OF_ONE, &[ProblemKind::Trimmed];
    /// Of a call that waits for an LTM.
    WaitProblems = ALWAYS, OF_ONE, &[ProblemKind::InvalidCursor];
    /// Of a call that copies an LTM.
    CopyProblems = ALWAYS, OF_ONE, &[
        ProblemKind::Trimmed, ProblemKind::InvalidCursor, ProblemKind::CursorMismatch, ProblemKind::Fenced,
        ProblemKind::KeyReused, ProblemKind::IdTaken, ProblemKind::Busy,
    ];
    /// Of a call that writes to an LTM.
    WriteProblems = ALWAYS, OF_ONE, WITH_BODY, &[
        ProblemKind::InvalidCursor, ProblemKind::PatchFailed, ProblemKind::StateTooLarge, ProblemKind::CursorMismatch,
        ProblemKind::Fenced, ProblemKind::KeyReused, ProblemKind::Busy, ProblemKind::Trimmed,
    ];
    /// Of a call that deletes an LTM.
    DeleteProblems = ALWAYS, OF_ONE, &[
        ProblemKind::InvalidCursor, ProblemKind::CursorMismatch, ProblemKind::Fenced, ProblemKind::KeyReused,
    ];
}

fn responses(lists: &[&[ProblemKind]]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<ProblemKind>> = BTreeMap::new();
    for &kind in lists.iter().copied().flatten() {
        by_status.entry(kind.facts().1).or_default().push(kind);
    }
    let answer = |(status, kinds): (u16, Vec<ProblemKind>)| {
        (status.to_string(), RefOr::T(response(status, &kinds)))
    };
    by_status.into_iter().map(answer).collect()
}

fn response(status: u16, kinds: &[ProblemKind]) -> Response {
    let line = |kind: &ProblemKind| {
        let (name, _, title) = kind.facts();
        format!("`{name}`: {title}")
    };
    let lines: Vec<String> = kinds.iter().map(line).collect();
    let mut response = ResponseBuilder::new()
        .description(lines.join("\n\n"))
        .content(
            "application/problem+json",
            Content::new(Some(Ref::from_schema_name("Problem"))),
        );
    let header = |description: &str| {
        let mut header = Header::new(String::schema());
        header.description = Some(description.into());
        header
    };
    if matches!(status, 429 | 503) {
        response = response.header("Retry-After", header("Seconds to wait"));
    }
    if matches!(status, 401 | 403) {
        response = response.header(
            "WWW-Authenticate",
            header("The required credential (RFC 6750)"),
        );
    }
    response.build()
}
