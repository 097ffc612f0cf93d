//! `POST /agui/{fqn}/{key}`: runs the agent, or attaches to the run that is under way. `POST /agui/{fqn}/{key}/stop`.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_client::{Cursor, LtmKey};
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};
use reqwest::Url;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{
    page::{self, refused},
    reading,
    recorded_events::{end_between, full},
};
use crate::proxy::{
    recorder_service::RecorderService,
    run::{Begun, Wish, perform},
    runs::{Permit, Progress, Turn, dropped},
};

/// How often a page tries to be the one that runs, if others begin and fail.
const TURNS: usize = 5;

pub(super) async fn run(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let thread = page::thread_in_path(&request)?;
    let agent = agent(&service, &thread)?;
    may_write(&request, &service, &thread).await?;
    let input = page::object(&service, body).await?;
    run_agent(&request, &service, thread, agent, input).await
}

/// As [`run`], with the thread in the body: an agent at one address for all threads.
pub(super) async fn run_thread(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let input = page::object(&service, body).await?;
    let agent = page::agent_in_path(&request, "fqn")?;
    let thread = page::thread_in_input(&agent, &input)?;
    run_or_attach(&request, &service, thread, input).await
}

/// Runs the agent of a thread, or attaches to its run. The answer is that of the gateway.
pub(super) async fn run_or_attach(
    request: &HttpRequest,
    service: &RecorderService,
    thread: LtmKey,
    input: Map<String, Value>,
) -> Result<HttpResponse, ProblemResponse> {
    let agent = agent(service, &thread)?;
    may_write(request, service, &thread).await?;
    run_agent(request, service, thread, agent, input).await
}

/// The address of the agent of a thread.
fn agent(service: &RecorderService, thread: &LtmKey) -> Result<Url, ProblemResponse> {
    service.agent(thread.fqn()).ok_or_else(|| {
        let detail = format!(
            "no agent {:?} is configured (`agui.upstreams`)",
            thread.fqn()
        );
        Problem::new(ProblemKind::NotFound, detail).into()
    })
}

async fn run_agent(
    request: &HttpRequest,
    service: &RecorderService,
    thread: LtmKey,
    agent: Url,
    mut input: Map<String, Value>,
) -> Result<HttpResponse, ProblemResponse> {
    if !input.get("runId").is_some_and(Value::is_string) {
        return Err(page::invalid("runId", "send the id of the run: `runId`"));
    }
    let asked = reading::input_of(&input);
    input.insert("threadId".into(), thread.key().into());
    let wish = Wish {
        thread: thread.clone(),
        agent,
        input,
        headers: page::forwarded(request, service),
    };
    let after = begin(service, wish).await?;
    reading::read_thread(request, service, &thread, after, asked).await
}

/// Begins the run, unless there is one. Returns the cursor from which on the page lacks something, if it needs no more than
/// that.
async fn begin(service: &RecorderService, wish: Wish) -> Result<Option<Cursor>, ProblemResponse> {
    for _ in 0..TURNS {
        match service.runs().take(&wish.thread) {
            Turn::Mine(permit) => return begin_mine(service, wish, permit).await,
            Turn::Other(mut progress) => {
                let begun = progress.wait_for(|it| *it != Progress::Beginning).await;
                if begun.is_ok_and(|it| *it == Progress::Running) {
                    return Ok(None);
                }
                // Nobody would record what this page sent with the run that ends.
                dropped(progress).await;
            }
            Turn::Full => return Err(full(service)),
        }
    }
    let detail = "the run could not begin; try again";
    Err(Problem::new(ProblemKind::Unavailable, detail).into())
}

async fn begin_mine(
    service: &RecorderService,
    wish: Wish,
    permit: Box<Permit>,
) -> Result<Option<Cursor>, ProblemResponse> {
    let (sender, receiver) = oneshot::channel();
    service.spawn(perform(service.clone(), wish, permit, sender));
    match receiver.await {
        Ok(Ok(Begun::After(cursor))) => Ok(Some(cursor)),
        Ok(Ok(Begun::WithMore | Begun::Elsewhere)) => Ok(None),
        Ok(Err(problem)) => Err(problem.into()),
        Err(_) => {
            let detail = "the recorder is stopping; try again";
            Err(Problem::new(ProblemKind::Unavailable, detail).into())
        }
    }
}

/// Checks that the page may write the LTM of a thread, by creating it as the page, if it is not there.
async fn may_write(
    request: &HttpRequest,
    service: &RecorderService,
    thread: &LtmKey,
) -> Result<(), ProblemResponse> {
    let token = page::token(request)?;
    let log = service.log(thread.clone(), Some(token));
    let log = log.map_err(|e| refused(&e))?;
    log.create().await.map_err(|e| refused(&e))
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
    agent(service, thread)?;
    may_write(request, service, thread).await?;
    let stopped = service.runs().stop(thread) || end_between(request, service, thread).await?;
    Ok(HttpResponse::Ok().json(json!({"stopped": stopped})))
}
