//! What a page says of itself: its credential, and the thread that it names.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName},
};
use ltm_auth::Credential;
use ltm_client::{Error, LtmKey, Token};
use ltm_service::{ProblemResponse, credential, path_segment};
use ltm_types::{Problem, ProblemKind};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use crate::proxy::recorder_service::RecorderService;

/// The headers that the recorder sets itself, or that belong to the connection of the page.
const OWN_HEADERS: [&str; 9] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
];

/// The credential of a page, with which the recorder asks the services whether the page may write.
pub(super) fn token(request: &HttpRequest) -> Result<Option<Token>, ProblemResponse> {
    match credential(request)? {
        Credential::Bearer(token) => token.parse().map(Some).map_err(|_| {
            invalid(
                "Authorization",
                "the token has spaces or control characters",
            )
        }),
        _ => Ok(None),
    }
}

/// The header `Authorization` of a page, for the gateway.
pub(super) fn authorization(request: &HttpRequest) -> Option<HeaderValue> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    let mut value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The headers of a page that the agent gets.
pub(super) fn forwarded(request: &HttpRequest, service: &RecorderService) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let names = service.settings().forward_headers.iter();
    let names = names.map(|name| name.to_ascii_lowercase());
    for name in names.filter(|name| !OWN_HEADERS.contains(&name.as_str())) {
        let Ok(header) = HeaderName::try_from(name.as_str()) else {
            continue;
        };
        let name = reqwest::header::HeaderName::from_bytes(name.as_bytes());
        for value in request.headers().get_all(header) {
            if let (Ok(name), Ok(value)) = (&name, HeaderValue::from_bytes(value.as_bytes())) {
                headers.append(name.clone(), value);
            }
        }
    }
    headers
}

/// The thread in `/agui/{fqn}/{key}`.
pub(super) fn thread_in_path(request: &HttpRequest) -> Result<LtmKey, ProblemResponse> {
    thread_of(path_segment(request, "fqn"), path_segment(request, "key"))
}

/// The thread that two encoded segments name.
pub(super) fn thread_of(fqn: &str, key: &str) -> Result<LtmKey, ProblemResponse> {
    LtmKey::from_segments(fqn, key).map_err(|e| invalid(e.field(), &e.to_string()))
}

/// The thread of an agent that an input names.
pub(super) fn thread_in_input(
    agent: &str,
    input: &Map<String, Value>,
) -> Result<LtmKey, ProblemResponse> {
    let key = input.get("threadId").and_then(Value::as_str);
    let key = key.ok_or_else(|| invalid("threadId", "send the id of the thread: `threadId`"))?;
    LtmKey::new(agent, key).map_err(|e| invalid(e.field(), &e.to_string()))
}

/// The agent in a parameter of the path.
pub(super) fn agent_in_path(request: &HttpRequest, name: &str) -> Result<String, ProblemResponse> {
    // Any key will do to have the class checked and decoded.
    Ok(thread_of(path_segment(request, name), "-")?
        .fqn()
        .to_owned())
}

/// The answer to a request that cannot be used.
pub(super) fn invalid(field: &str, detail: &str) -> ProblemResponse {
    let problem = Problem::new(ProblemKind::InvalidRequest, detail);
    match field {
        "" => problem.into(),
        field => problem.with_field(field).into(),
    }
}

/// The answer of the services to the page, or that they are away.
pub(super) fn refused(error: &Error) -> ProblemResponse {
    match error.problem() {
        Some(problem) => problem.clone().into(),
        None => Problem::new(ProblemKind::Unavailable, error.to_string()).into(),
    }
}
