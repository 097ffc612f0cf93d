//! `POST /agui/{fqn}/{key}`: runs the agent, or attaches to the run that is under way. `POST /agui/{fqn}/{key}/stop`.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_client::LtmKey;
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::Instant};

use super::{
    body,
    page::{self, refused},
    reading::{self, Start},
    recorded_events::{end_between, full},
};
use crate::proxy::{
    inputs::Input,
    recorder_service::RecorderService,
    run::{Begun, Wish, perform},
    runs::{Permit, Turn},
    thread_log::ThreadLog,
};

pub(super) async fn run(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let thread = page::thread_in_path(&request)?;
    let agent = agent(&service, thread.fqn())?;
    may_write(&request, &service, &thread).await?;
    let input = body::object(&request, &service, body).await?;
    run_agent(&request, &service, thread, agent, input).await
}

/// As [`run`], with the thread in the body: an agent at one address for all threads.
pub(super) async fn run_thread(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let class = page::agent_in_path(&request, "fqn")?;
    run_thread_of(&request, &service, &class, body).await
}

/// As [`run`], with the thread in the body. A page that may not write the class sends its body in vain: the recorder does not
/// read it.
pub(super) async fn run_thread_of(
    request: &HttpRequest,
    service: &RecorderService,
    class: &str,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let agent = agent(service, class)?;
    // Any key will do: the right is one for the class.
    let any = LtmKey::new(class, "-").map_err(|e| page::invalid(e.field(), &e.to_string()))?;
    may_write(request, service, &any).await?;
    let input = body::object(request, service, body).await?;
    let thread = page::thread_in_input(class, &input.members)?;
    run_agent(request, service, thread, agent, input).await
}

/// Runs the agent of a thread, or attaches to its run. The answer is that of the gateway.
pub(super) async fn run_or_attach(
    request: &HttpRequest,
    service: &RecorderService,
    thread: LtmKey,
    input: Input,
) -> Result<HttpResponse, ProblemResponse> {
    let agent = agent(service, thread.fqn())?;
    may_write(request, service, &thread).await?;
    run_agent(request, service, thread, agent, input).await
}

/// The address of the agent of a class.
fn agent(service: &RecorderService, class: &str) -> Result<Url, ProblemResponse> {
    service.agent(class).ok_or_else(|| {
        let detail = format!("no agent {class:?} is configured (`agui.upstreams`)");
        Problem::new(ProblemKind::NotFound, detail).into()
    })
}

async fn run_agent(
    request: &HttpRequest,
    service: &RecorderService,
    thread: LtmKey,
    agent: Url,
    mut input: Input,
) -> Result<HttpResponse, ProblemResponse> {
    let members = &mut input.members;
    if !members.get("runId").is_some_and(Value::is_string) {
        return Err(page::invalid("runId", "send the id of the run: `runId`"));
    }
    let asked = reading::input_of(members);
    members.insert("threadId".into(), thread.key().into());
    let wish = Wish {
        thread: thread.clone(),
        agent,
        input,
        headers: page::forwarded(request, service),
    };
    let log = log_of_page(request, service, &thread)?;
    let start = begin(service, &log, wish).await?;
    reading::read_thread(request, service, &thread, start, asked).await
}

/// Begins the run, unless there is one. Returns where the page reads.
async fn begin(
    service: &RecorderService,
    log: &ThreadLog,
    wish: Wish,
) -> Result<Start, ProblemResponse> {
    // Others may begin and fail, again and again.
    let until = Instant::now() + service.settings().write_timeout;
    while Instant::now() < until {
        match service.runs().take(&wish.thread) {
            Turn::Mine(permit) => return begin_mine(service, log, wish, permit).await,
            Turn::Other(other) if other.clone().attachable().await => return Ok(Start::AsAsked),
            Turn::Other(_) => {}
            Turn::Full => return Err(full(service)),
        }
    }
    let detail = "the run could not begin; try again";
    Err(Problem::new(ProblemKind::Unavailable, detail).into())
}

async fn begin_mine(
    service: &RecorderService,
    log: &ThreadLog,
    wish: Wish,
    permit: Box<Permit>,
) -> Result<Start, ProblemResponse> {
    // As the page: the recorder's own credential may create more.
    log.create().await.map_err(|e| refused(&e))?;
    let (sender, receiver) = oneshot::channel();
    service.spawn(perform(service.clone(), wish, permit, sender));
    match receiver.await {
        Ok(Ok(Begun::After(cursor))) => Ok(Start::After(cursor)),
        Ok(Ok(Begun::WithMore)) => Ok(Start::WithAll),
        Ok(Ok(Begun::Elsewhere)) => Ok(Start::AsAsked),
        Ok(Err(problem)) => Err(problem.into()),
        Err(_) => {
            let detail = "the recorder is stopping; try again";
            Err(Problem::new(ProblemKind::Unavailable, detail).into())
        }
    }
}

/// The LTM of a thread, as the page may use it.
fn log_of_page(
    request: &HttpRequest,
    service: &RecorderService,
    thread: &LtmKey,
) -> Result<ThreadLog, ProblemResponse> {
    let token = page::token(request)?;
    let log = service.log(thread.clone(), Some(token));
    log.map_err(|e| refused(&e))
}

/// Checks that the page may write the LTM of a thread. This creates nothing.
async fn may_write(
    request: &HttpRequest,
    service: &RecorderService,
    thread: &LtmKey,
) -> Result<(), ProblemResponse> {
    let log = log_of_page(request, service, thread)?;
    log.may_write().await.map_err(|e| refused(&e))
}

pub(super) async fn stop(
    request: HttpRequest,
    service: web::Data<RecorderService>,
) -> Result<HttpResponse, ProblemResponse> {
    stop_run(&request, &service, &page::thread_in_path(&request)?).await
}

/// Stops the run of a thread. A page that may not write learns nothing about it.
pub(super) async fn stop_run(
    request: &HttpRequest,
    service: &RecorderService,
    thread: &LtmKey,
) -> Result<HttpResponse, ProblemResponse> {
    agent(service, thread.fqn())?;
    may_write(request, service, thread).await?;
    let stopped = service.runs().stop(thread) || end_between(request, service, thread).await?;
    Ok(HttpResponse::Ok().json(json!({"stopped": stopped})))
}
