//! The calls of a CopilotKit page whose `runtimeUrl` is `…/agui`. The id of an agent is the class of its LTMs.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_service::{ProblemResponse, VERSION, path_segment};
use ltm_types::{Problem, ProblemKind};
use serde_json::{Map, Value, json};

use super::{
    body, page,
    reading::{self, Question},
    running,
};
use crate::proxy::{inputs::Input, recorder_service::RecorderService};

/// `GET /agui/info`: which agents there are. The gateway knows whether the page may ask.
pub(super) async fn info(
    request: HttpRequest,
    service: web::Data<RecorderService>,
) -> Result<HttpResponse, ProblemResponse> {
    reading::may_ask(&request, &service, "/agui/info").await?;
    Ok(HttpResponse::Ok().json(described(&service)))
}

fn described(service: &RecorderService) -> Value {
    let mut agents = Map::new();
    for id in service.agent_ids() {
        let agent =
            json!({"name": id, "description": "recorded by ltm-live", "className": "HttpAgent"});
        agents.insert(id.into(), agent);
    }
    json!({
        "version": VERSION, "agents": agents, "audioFileTranscriptionEnabled": false, "mode": "sse",
    })
}

/// `POST /agui/agent/{agent}/run`.
pub(super) async fn run(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let agent = page::agent_in_path(&request, "agent")?;
    running::run_thread_of(&request, &service, &agent, body).await
}

/// `POST /agui/agent/{agent}/connect`: what a page asks that shows a thread.
pub(super) async fn connect(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let agent = page::agent_in_path(&request, "agent")?;
    reading::may_ask(&request, &service, "/agui/info").await?;
    let input = body::object(&request, &service, body).await?;
    connect_to(&request, &service, &agent, input).await
}

/// The gateway knows what a page gets whose thread has not begun.
async fn connect_to(
    request: &HttpRequest,
    service: &RecorderService,
    agent: &str,
    input: Input,
) -> Result<HttpResponse, ProblemResponse> {
    let thread = page::thread_in_input(agent, &input.members)?;
    let segments = thread.to_segments();
    let encoded = segments.split('/').next().unwrap_or_default();
    let question = Question {
        method: reqwest::Method::POST,
        path: format!("/agui/agent/{encoded}/connect"),
        query: String::new(),
        body: Some(reading::input_of(&input.members)),
        resumes: true,
    };
    drop(input);
    reading::ask(request, service, question).await
}

/// `POST /agui/agent/{agent}/stop/{thread}`.
pub(super) async fn stop(
    request: HttpRequest,
    service: web::Data<RecorderService>,
) -> Result<HttpResponse, ProblemResponse> {
    let (agent, thread) = (
        path_segment(&request, "agent"),
        path_segment(&request, "thread"),
    );
    let thread = page::thread_of(agent, thread)?;
    running::stop_run(&request, &service, &thread).await
}

/// `POST /agui`: all calls at one address, `{"method", "params", "body"}`.
pub(super) async fn single(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    // A stranger's body is not read. What a known page may do depends on the call in it.
    reading::may_ask(&request, &service, "/agui/info").await?;
    let mut input = body::object(&request, &service, body).await?;
    let mut call = std::mem::take(&mut input.members);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let params = call.remove("params").unwrap_or_default();
    let agent = text(params.get("agentId"));
    if let Some(Value::Object(members)) = call.remove("body") {
        input.members = members;
    }
    match text(call.get("method")).as_str() {
        "info" => Ok(HttpResponse::Ok().json(described(&service))),
        "agent/run" => {
            let thread = page::thread_in_input(&agent, &input.members)?;
            running::run_or_attach(&request, &service, thread, input).await
        }
        "agent/connect" => connect_to(&request, &service, &agent, input).await,
        "agent/stop" => {
            let mut named = Map::new();
            named.insert("threadId".into(), params["threadId"].clone());
            let thread = page::thread_in_input(&agent, &named)?;
            running::stop_run(&request, &service, &thread).await
        }
        method => {
            let detail = format!(
                "{method:?} is no call; there are info, agent/run, agent/connect and agent/stop"
            );
            Err(Problem::new(ProblemKind::InvalidRequest, detail)
                .with_field("method")
                .into())
        }
    }
}
