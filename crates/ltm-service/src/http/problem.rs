//! The one place that maps errors to HTTP responses.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    middleware::Next,
    web,
};
use ltm_auth::{AuthError, Rejection};
use ltm_store::StoreError;
use ltm_types::{Problem, ProblemKind};
use tracing_actix_web::RequestId;

use crate::telemetry::log_throttle::LogThrottle;

/// A problem that answers a request.
#[derive(Clone, Debug)]
pub struct ProblemResponse(pub Problem);

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for ProblemResponse {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for ProblemResponse {
    fn from(error: &StoreError) -> Self {
        let detail = error.to_string();
        Self(match error {
            StoreError::Unknown(_) | StoreError::UnknownKey(_) => {
                Problem::new(ProblemKind::UnknownLtm, detail)
            }
            StoreError::Deleted { cursor, .. } => {
                Problem::new(ProblemKind::DeletedLtm, detail).with_cursor(*cursor)
            }
            StoreError::Trimmed(_) => Problem::new(ProblemKind::Trimmed, detail),
            StoreError::Damaged { id, .. } => {
                let advice = format!("{detail}; run `ltm verify {id}` to check the whole log");
                Problem::new(ProblemKind::DamagedLog, advice)
            }
            StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::CopyLost(_) => Problem::new(ProblemKind::Unavailable, detail),
            StoreError::Rejected(_) if error.is_temporary() => {
                Problem::new(ProblemKind::Unavailable, detail)
            }
            StoreError::Rejected(_) | StoreError::Setting { .. } | StoreError::Unexpected(_) => {
                Problem::new(ProblemKind::Internal, detail)
            }
        })
    }
}

impl From<AuthError> for ProblemResponse {
    fn from(error: AuthError) -> Self {
        let (detail, token_error) = (error.to_string(), error.token_error());
        let kind = match error.rejection() {
            Rejection::Unauthenticated => ProblemKind::Unauthenticated,
            Rejection::Forbidden => ProblemKind::Forbidden,
            Rejection::Unavailable => ProblemKind::Unavailable,
        };
        if let AuthError::Store(error) = error {
            return error.into();
        }
        Problem::new(kind, detail)
            .with_field("Authorization")
            .with_token_error(token_error)
            .into()
    }
}

impl From<ProblemResponse> for Problem {
    fn from(response: ProblemResponse) -> Self {
        response.0
    }
}

impl fmt::Display for ProblemResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.title, self.0.detail)
    }
}

impl ResponseError for ProblemResponse {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The response without its body. [`complete`] writes the body, because it knows the request.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        let headers = response.headers_mut();
        if matches!(self.0.status, 429 | 503) {
            let seconds = self.0.retry_after.unwrap_or(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let field = self.0.field.as_deref();
        if self.0.status == 415 && field == Some(header::CONTENT_ENCODING.as_str()) {
            // RFC 9110 section 15.5.16.
            let known = HeaderValue::from_static("gzip");
            headers.insert(header::ACCEPT_ENCODING, known);
        }
        if let Some(challenge) = challenge(&self.0) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(cursor) = self.0.cursor {
            // A cursor has only digits and a dash.
            if let Ok(tag) = HeaderValue::from_str(&format!("\"{cursor}\"")) {
                headers.insert(header::ETAG, tag);
            }
        }
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// The challenge for a rejected request: which credentials it needs, and what is wrong with its token (RFC 6750 section 3).
fn challenge(problem: &Problem) -> Option<HeaderValue> {
    let bare = "Bearer realm=\"ltm-live\"";
    match problem.token_error {
        // The error codes of the RFC are ASCII.
        Some(error) => HeaderValue::from_str(&format!("{bare}, error=\"{error}\"")).ok(),
        None => (problem.status == 401).then(|| HeaderValue::from_static(bare)),
    }
}

/// The response of a path that exists, but not with this method. A path that answers GET answers HEAD, too.
pub fn method_not_allowed(allow: &str) -> HttpResponse {
    let allow = allow.replace("GET", "GET, HEAD");
    let detail = format!("this path supports only {allow}");
    let mut response =
        ProblemResponse(Problem::new(ProblemKind::MethodNotAllowed, detail)).error_response();
    // The names of methods are ASCII.
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// The response of a path that does not exist.
pub(crate) async fn not_found() -> Result<HttpResponse, ProblemResponse> {
    Err(Problem::new(ProblemKind::NotFound, "this path does not exist").into())
}

/// The middleware that completes every error response: its body is the problem, with the id of the request.
pub(crate) async fn complete<B: MessageBody + 'static>(
    log: web::Data<ProblemLog>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.to_string());
    let mut response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    let problem = response
        .response_mut()
        .extensions_mut()
        .remove::<ProblemResponse>();
    let mut problem = match problem {
        Some(ProblemResponse(problem)) => problem,
        None if status.is_server_error() || status.is_client_error() => foreign(status, &response),
        None => return Ok(response),
    };
    problem.request_id = id;
    if let Some(times) = log.due(&problem) {
        tracing::warn!(
            path = response.request().path(),
            request_id = problem.request_id,
            kind = problem.r#type,
            detail = problem.detail,
            times,
            "a request failed"
        );
    }
    // A problem is plain text and numbers, which always serialize.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = response.map_body(|_, _| BoxBody::new(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Ok(response)
}

/// Decides which problems are logged. All workers share it.
#[derive(Default)]
pub(crate) struct ProblemLog {
    unavailable: Mutex<LogThrottle>,
}

impl ProblemLog {
    /// If a log line about this problem is due: the number of requests that it stands for.
    fn due(&self, problem: &Problem) -> Option<u64> {
        // A limit has a line of its own.
        if problem.status < 500 || problem.is(ProblemKind::OverLimit) {
            return None;
        }
        // While Redis is unavailable, every request fails for the same reason.
        if problem.is(ProblemKind::Unavailable) {
            let unavailable = self.unavailable.lock();
            let mut unavailable = unavailable.unwrap_or_else(PoisonError::into_inner);
            return unavailable.count(Instant::now());
        }
        Some(1)
    }
}

/// The problem for an error response that the framework made.
fn foreign(status: StatusCode, response: &ServiceResponse) -> Problem {
    let detail = response
        .response()
        .error()
        .map_or_else(|| status.to_string(), ToString::to_string);
    let kind = match status.as_u16() {
        404 => ProblemKind::NotFound,
        405 => ProblemKind::MethodNotAllowed,
        408 => ProblemKind::RequestTimeout,
        413 => ProblemKind::BodyTooLarge,
        415 => ProblemKind::UnsupportedMediaType,
        503 => ProblemKind::Unavailable,
        400..=499 => ProblemKind::InvalidRequest,
        _ => ProblemKind::Internal,
    };
    Problem {
        status: status.as_u16(),
        ..Problem::new(kind, detail)
    }
}
