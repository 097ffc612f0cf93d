//! The paths of a CopilotKit runtime: an agent is a class, and a thread is an LTM of this class by its key. The agent
//! `ltm` has every LTM, by its id.

use std::collections::BTreeSet;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use ltm_auth::Grant;
use ltm_service::{ProblemResponse, VERSION};
use ltm_store::{ListFilter, Listing};
use ltm_types::{LtmKey, LtmRef, Problem, ProblemKind};
use serde_json::{Map, Value, json};

use super::{
    follow::{Caller, answer, authenticate},
    input::{RunInput, envelope},
};
use crate::{dialect::agui::lone_run, fanout::worker::Worker, http::sse::events};

/// The agent that has every LTM.
const EVERY: &str = "ltm";
/// How many of the newest LTMs are asked for their classes.
const NEWEST: usize = 100;

type Answer = Result<HttpResponse, ProblemResponse>;

/// What a page wants of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To see it.
    Connect,
    /// To run it, which only an engine can.
    Run,
}

pub(super) async fn info(request: HttpRequest, worker: web::Data<Worker>) -> Answer {
    let caller = authenticate(&request, &worker).await?;
    agents(&worker, caller).await
}

pub(super) async fn connect(
    request: HttpRequest,
    payload: Payload,
    worker: web::Data<Worker>,
) -> Answer {
    let agent = agent_in_path(&request)?;
    let caller = authenticate(&request, &worker).await?;
    let input = RunInput::read(payload, &worker).await?;
    watch(&request, &worker, caller, &agent, input, Wish::Connect).await
}

pub(super) async fn run(
    request: HttpRequest,
    payload: Payload,
    worker: web::Data<Worker>,
) -> Answer {
    let agent = agent_in_path(&request)?;
    let caller = authenticate(&request, &worker).await?;
    let input = RunInput::read(payload, &worker).await?;
    watch(&request, &worker, caller, &agent, input, Wish::Run).await
}

pub(super) async fn stop() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "stopped": false,
        "message": "this gateway delivers runs and does not run agents: stop the run at its engine",
    }))
}

/// The single endpoint: one path for all of these.
pub(super) async fn single(
    request: HttpRequest,
    payload: Payload,
    worker: web::Data<Worker>,
) -> Answer {
    let caller = authenticate(&request, &worker).await?;
    let (method, params, input) = envelope(payload, &worker).await?;
    let agent = || {
        let detail = "name the agent: its class, or `ltm`";
        let missing =
            || Problem::new(ProblemKind::InvalidRequest, detail).with_field("params.agentId");
        params.agent_id.ok_or_else(missing)
    };
    match &*method {
        "info" => agents(&worker, caller).await,
        "agent/connect" => watch(&request, &worker, caller, &agent()?, input, Wish::Connect).await,
        "agent/run" => watch(&request, &worker, caller, &agent()?, input, Wish::Run).await,
        "agent/stop" => Ok(stop().await),
        other => {
            let detail = format!(
                "{other:?} is not a method here; send `info`, `agent/connect`, `agent/run` or `agent/stop`"
            );
            Err(Problem::new(ProblemKind::InvalidRequest, detail)
                .with_field("method")
                .into())
        }
    }
}

/// Follows the thread of an agent. A thread without an LTM has nothing to show, and cannot run here.
async fn watch(
    request: &HttpRequest,
    worker: &web::Data<Worker>,
    caller: Caller,
    agent: &str,
    input: RunInput,
    wish: Wish,
) -> Answer {
    let thread = input.thread_id.clone().unwrap_or_default();
    let run = input.run_id.clone().unwrap_or_else(|| thread.clone());
    let ltm = ltm(agent, &thread)?;
    match answer(request, worker, caller, &ltm, input).await {
        Err(ProblemResponse(problem)) if problem.is(ProblemKind::UnknownLtm) => {
            let error = format!("there is no LTM {ltm}, and this gateway does not run agents");
            let error = (wish == Wish::Run).then_some(("unknown-ltm", &*error));
            Ok(events().body(lone_run(&thread, &run, error)))
        }
        other => other,
    }
}

/// The LTM of a thread.
fn ltm(agent: &str, thread: &str) -> Result<LtmRef, Problem> {
    let invalid = |field: &str, detail: String| {
        Problem::new(ProblemKind::InvalidRequest, detail).with_field(field)
    };
    if agent == EVERY {
        let id = thread.parse().map(LtmRef::Id);
        return id.map_err(|error| invalid("threadId", format!("{error}")));
    }
    LtmKey::new(agent, thread)
        .map(LtmRef::Key)
        .map_err(|error| {
            let field = if error.field() == "key" {
                "threadId"
            } else {
                "agentId"
            };
            invalid(field, error.to_string())
        })
}

fn agent_in_path(request: &HttpRequest) -> Result<String, Problem> {
    let agent = request.match_info().get("agentId").unwrap_or_default();
    // The router replaces what is not UTF-8, so two different texts would be one.
    if agent.contains(char::REPLACEMENT_CHARACTER) {
        let detail = "it is not UTF-8";
        return Err(Problem::new(ProblemKind::InvalidRequest, detail).with_field("agentId"));
    }
    Ok(agent.to_owned())
}

/// The agents of the settings; or else the classes of the newest LTMs that the client may read.
async fn agents(worker: &Worker, caller: Caller) -> Answer {
    let gateway = &worker.gateway;
    let grant = caller.map_or_else(Grant::everything, |caller| caller.grant());
    let mut names: BTreeSet<String> = gateway.settings().agui_agents.iter().cloned().collect();
    if names.is_empty() {
        let listing = Listing {
            playground: false,
            filter: &ListFilter::default(),
            limit: NEWEST,
            before: None,
        };
        let page = gateway.store().list(listing, &grant.shown()).await?;
        names.extend(page.rows.into_iter().map(|row| row.fqn));
    }
    names.insert(EVERY.into());
    let agent = |name: String| {
        let description = if name == EVERY {
            "every LTM, by its id"
        } else {
            "LTMs of this class, by their keys"
        };
        let agent = json!({"name": name, "description": description, "className": "LtmLive"});
        (name, agent)
    };
    let agents: Map<String, Value> = names.into_iter().map(agent).collect();
    Ok(HttpResponse::Ok().json(json!({
        "version": VERSION,
        "agents": agents,
        "audioFileTranscriptionEnabled": false,
        "mode": "sse",
    })))
}
