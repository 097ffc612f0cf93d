//! What a page reads: the answer of the gateway, passed on.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header as out},
    web,
};
use bytes::Bytes;
use futures_util::stream::unfold;
use ltm_client::{Cursor, LtmKey};
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};
use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Map, Value, json};

use super::page;
use crate::proxy::recorder_service::RecorderService;

/// The headers of the gateway's answer that the page gets.
const PASSED_ON: [out::HeaderName; 4] = [
    out::CONTENT_TYPE,
    out::CACHE_CONTROL,
    out::HeaderName::from_static("x-accel-buffering"),
    out::RETRY_AFTER,
];
/// The most bytes of a refusal.
const MAX_PROBLEM: usize = 64 * 1024;

/// `GET /agui/{fqn}/{key}`, for `curl` and `EventSource`.
pub(super) async fn follow(
    request: HttpRequest,
    service: web::Data<RecorderService>,
) -> Result<HttpResponse, ProblemResponse> {
    let thread = page::thread_in_path(&request)?;
    let question = Question {
        method: Method::GET,
        path: format!("/agui/{}", thread.to_segments()),
        query: request.query_string().into(),
        body: None,
        resumes: true,
    };
    ask(&request, &service, question).await
}

/// Where a page reads a thread.
pub(super) enum Start {
    /// Its own run, after this cursor.
    After(Cursor),
    /// Its own run, with all that matters now.
    WithAll,
    /// A run that it did not begin: from the place that it names.
    AsAsked,
}

/// What the gateway must know of a page's input. It ignores what the page holds, which can be large.
pub(super) fn input_of(input: &Map<String, Value>) -> Value {
    let mut asked = json!({
        "threadId": input.get("threadId"), "runId": input.get("runId"),
        "messages": [], "tools": [], "context": [],
    });
    if let Some(version) = input.get("protocolVersion") {
        asked["protocolVersion"] = version.clone();
    }
    let forwarded = input.get("forwardedProps").and_then(|it| it.get("ltm"));
    if let Some(ltm) = forwarded {
        asked["forwardedProps"] = json!({"ltm": ltm});
    }
    asked
}

/// Answers with the events of a thread.
pub(super) async fn read_thread(
    request: &HttpRequest,
    service: &RecorderService,
    thread: &LtmKey,
    start: Start,
    mut input: Value,
) -> Result<HttpResponse, ProblemResponse> {
    if input["threadId"].is_null() {
        input["threadId"] = thread.key().into();
    }
    let is_own = !matches!(start, Start::AsAsked);
    let ltm = input.pointer_mut("/forwardedProps/ltm");
    if is_own && let Some(ltm) = ltm.and_then(Value::as_object_mut) {
        // It is a place in an earlier run, whose end the page would get.
        ltm.remove("after");
    }
    let question = Question {
        method: Method::POST,
        path: format!("/agui/{}", thread.to_segments()),
        query: match start {
            Start::After(cursor) => format!("after={cursor}"),
            Start::WithAll | Start::AsAsked => String::new(),
        },
        body: Some(input),
        resumes: !is_own,
    };
    ask(request, service, question).await
}

/// A question to the gateway.
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Option<Value>,
    /// Whether the page may resume after its `Last-Event-ID`.
    pub(super) resumes: bool,
}

/// Asks the gateway as the page, and passes its answer on.
pub(super) async fn ask(
    request: &HttpRequest,
    service: &RecorderService,
    question: Question,
) -> Result<HttpResponse, ProblemResponse> {
    let answer = answer(request, service, question).await?;
    Ok(passed_on(service, answer))
}

/// Checks that the gateway answers the page at this path.
pub(super) async fn may_ask(
    request: &HttpRequest,
    service: &RecorderService,
    path: &str,
) -> Result<(), ProblemResponse> {
    let question = Question {
        method: Method::GET,
        path: path.into(),
        query: String::new(),
        body: None,
        resumes: false,
    };
    answer(request, service, question).await.map(drop)
}

/// What the gateway answers the page, if it does not refuse.
async fn answer(
    request: &HttpRequest,
    service: &RecorderService,
    question: Question,
) -> Result<reqwest::Response, ProblemResponse> {
    let Question {
        path, query, body, ..
    } = question;
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{}{path}{mark}{query}", service.server());
    let mut asked = service.http().request(question.method, url);
    asked = asked.header(ACCEPT, "text/event-stream");
    if let Some(authorization) = page::authorization(request) {
        asked = asked.header(AUTHORIZATION, authorization);
    }
    let last = request.headers().get("Last-Event-ID");
    if let Some(last) = last.filter(|_| question.resumes) {
        asked = asked.header("Last-Event-ID", last.as_bytes());
    }
    if let Some(body) = body {
        asked = asked
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
    }
    let answer = asked.send().await.map_err(|error| {
        tracing::warn!(%error, "cannot ask the gateway");
        let detail =
            "the recorder cannot reach the gateway; the run goes on, and can be read later";
        Problem::new(ProblemKind::Unavailable, detail)
    })?;
    if !answer.status().is_success() {
        return Err(refusal(answer).await.into());
    }
    Ok(answer)
}

/// The problem in an answer.
async fn refusal(mut answer: reqwest::Response) -> Problem {
    let (status, mut bytes) = (answer.status(), Vec::new());
    while bytes.len() < MAX_PROBLEM
        && let Ok(Some(piece)) = answer.chunk().await
    {
        bytes.extend_from_slice(&piece);
    }
    serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        let detail = format!("the gateway answered {status}");
        Problem::new(ProblemKind::Unavailable, detail)
    })
}

/// The answer of the gateway. If it breaks off, or the recorder stops, it ends as if it were complete: a dropped connection
/// ends the program of some clients.
fn passed_on(service: &RecorderService, answer: reqwest::Response) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    for name in PASSED_ON {
        if let Some(value) = answer.headers().get(name.as_str()) {
            response.insert_header((name, value.as_bytes()));
        }
    }
    let shutdown = service.tasks().shutdown().clone();
    let body = unfold((answer, shutdown), |(mut answer, shutdown)| async move {
        let piece: Option<Bytes> = tokio::select! {
            piece = answer.chunk() => piece.ok().flatten(),
            () = shutdown.begun() => None,
        };
        piece.map(|piece| (Ok::<_, std::convert::Infallible>(piece), (answer, shutdown)))
    });
    response.streaming(body)
}
