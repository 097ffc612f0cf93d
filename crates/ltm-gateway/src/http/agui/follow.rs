//! `/agui/{id}` and `/agui/{fqn}/{key}`: one LTM as a run of AG-UI.

use std::{convert::Infallible, rc::Rc};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Bytes, Payload},
};
use futures_util::stream::empty;
use ltm_service::{Parameters, ProblemResponse, handshake_credential, is_head, ltm_in_path};
use ltm_store::{Read, StoreError, WindowBounds};
use ltm_types::{Cursor, Kind, LtmId, LtmRef, Problem, ProblemKind, ResetReason};

use super::input::{RunInput, short};
use crate::{
    dialect::agui::{Agui, RunRequest},
    fanout::{frames::texts, worker::Worker},
    http::{
        handshake::count,
        ltm_socket::subscribe,
        sse::{SseSubscriber, events, exists, last_event},
    },
    subscriber::{
        close::CloseCause,
        follow_request::{FollowOptions, Start},
        session_auth::{SessionAuth, find},
    },
};

pub(super) async fn follow(
    request: HttpRequest,
    payload: Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ProblemResponse> {
    let ltm = ltm_in_path(&request)?;
    let caller = authenticate(&request, &worker).await?;
    let input = RunInput::read(payload, &worker).await?;
    answer(&request, &worker, caller, &ltm, input).await
}

/// The credential of a client; `None` if authentication is off. A body is read only after that.
///
/// # Errors
///
/// Why the credential is not good.
pub(super) async fn authenticate(
    request: &HttpRequest,
    worker: &Worker,
) -> Result<Caller, ProblemResponse> {
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let credential = handshake_credential(request, request.query_string());
    let caller = SessionAuth::of_many(auth, store, credential).await;
    count(request, caller.as_ref().ok().and_then(Option::as_deref))?;
    Ok(caller?)
}

/// A client whose credential is good.
pub(super) type Caller = Option<Box<SessionAuth>>;

/// Answers with the LTM as a run.
///
/// # Errors
///
/// Why the client cannot follow the LTM.
pub(super) async fn answer(
    request: &HttpRequest,
    worker: &web::Data<Worker>,
    caller: Caller,
    ltm: &LtmRef,
    input: RunInput,
) -> Result<HttpResponse, ProblemResponse> {
    let parameters = Parameters::of(request)?;
    let last = last_event(request, &parameters);
    let options = options(&parameters, &input, last)?;
    let asked = run_request(&parameters, input, options.live)?;
    let id = find(caller.as_deref(), worker.gateway.store(), ltm).await?;
    if let Some(caller) = &caller {
        caller.add(id).await?;
    }
    let permit = worker.gateway.drain().acquire()?;
    if is_head(request) {
        // The checks of GET, but no subscription.
        exists(worker, id).await?;
        return Ok(events().streaming(empty::<Result<Bytes, Infallible>>()));
    }
    let (head, gone) = match options.start {
        Start::After(_) => head(worker, id).await?,
        Start::Now | Start::State => (None, None),
    };
    let is_endless = asked.endless;
    let at = head.as_ref().map(|(cursor, _)| *cursor);
    let translations = worker.translations.clone();
    let dialect = Agui::new(translations, asked, id, head.map(|(_, text)| text)).await;
    if let (Some(_), Start::After(cursor)) = (last, options.start) {
        let is_over = dialect.is_over() && !is_endless;
        if gone == Some(cursor) || is_over && has_run(worker, id, cursor, at).await? {
            // After any other status, a browser reconnects.
            return Ok(HttpResponse::NoContent().finish());
        }
    }
    let subscriber = SseSubscriber::new(worker.clone(), caller.map(Rc::from), Box::new(dialect));
    // The dialect waits for the message that says that the client has caught up.
    let options = FollowOptions {
        live: true,
        ..options
    };
    let subscription = subscribe(worker, id, options, subscriber.outbound()).await;
    let subscription = subscription.map_err(|cause| ProblemResponse(cause.problem()))?;
    let deliver = subscription.deliver(subscriber.outbound());
    Ok(subscriber.start(Some(id), deliver, permit))
}

/// Where the answer begins: after the last event, or the cursor of the input, or that of the URL; or else with the state.
fn options(
    parameters: &Parameters,
    input: &RunInput,
    last: Option<(&str, &str)>,
) -> Result<FollowOptions, ProblemResponse> {
    let of_input = input
        .after
        .as_deref()
        .map(|after| ("forwardedProps.ltm.after", after));
    let mut options = FollowOptions::read(parameters)?;
    options = options.after_event(of_input)?.after_event(last)?;
    if options.start == Start::Now {
        options.start = Start::State;
    }
    Ok(options)
}

fn run_request(
    parameters: &Parameters,
    input: RunInput,
    live: bool,
) -> Result<RunRequest, ProblemResponse> {
    let endless = match parameters.text("until") {
        None | Some("end") => false,
        Some("never") => true,
        Some(other) => {
            let detail = format!("{other:?} is not valid; send `end` or `never`, or leave it out");
            let problem = Problem::new(ProblemKind::InvalidRequest, detail);
            return Err(problem.with_field("until").into());
        }
    };
    let of_query = |name: &str| short(name, parameters.text(name));
    Ok(RunRequest {
        thread_id: input.thread_id.or(of_query("threadId")?),
        run_id: input.run_id.or(of_query("runId")?),
        protocol_version: input.protocol_version,
        steps: parameters.flag("steps")?,
        live,
        endless,
    })
}

/// Whether a client with this cursor has all of a run that has ended: only errors follow. A recorder writes them after the
/// event that ends the run.
async fn has_run(
    worker: &Worker,
    id: LtmId,
    cursor: Cursor,
    head: Option<Cursor>,
) -> Result<bool, ProblemResponse> {
    if head == Some(cursor) {
        return Ok(true);
    }
    let store = worker.gateway.store();
    let read = store
        .read_after(id, cursor, WindowBounds::default())
        .await?;
    let Read::Continues(window) = read else {
        return Ok(false);
    };
    let last = window.entries.last().map_or(cursor, |it| it.cursor);
    let are_errors = window.entries.iter().all(|it| it.kind == Kind::Error);
    Ok(are_errors && last == window.head)
}

/// The message with the current state, and its cursor; or the cursor at which the LTM was deleted.
type Head = (Option<(Cursor, Vec<Bytes>)>, Option<Cursor>);

async fn head(worker: &Worker, id: LtmId) -> Result<Head, ProblemResponse> {
    match worker
        .gateway
        .backlog()
        .reset(id, ResetReason::Requested, false)
        .await
    {
        Ok(message) => {
            let text = texts(message.frames.uncompressed()).next();
            Ok((text.map(|text| (message.cursor, text)), None))
        }
        Err(StoreError::Deleted { cursor, .. }) => Ok((None, Some(cursor))),
        Err(error) => Err(ProblemResponse(CloseCause::from(error).problem())),
    }
}
