//! `POST /agui/{fqn}/{key}/events`: records events that the caller has, as Server-Sent Events or a JSON object on each line.
//! The body may go on for as long as the run does. The caller writes with its own credential.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use futures_util::StreamExt;
use ltm_client::{LtmKey, StateAt};
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};
use serde_json::json;
use tokio::time::Instant;

use super::page::{self, refused};
use crate::{
    proxy::{
        recorder_service::RecorderService,
        recording::{Outcome, Recording},
        runs::{Permit, Turn},
        source::{Body, Source, form_of},
        thread_log::{LogError, ThreadLog},
    },
    record::{End, Recorder},
};

/// A caller that is quiet is no lost run: it has no lease. `agui.idle` ends a request that is quiet.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) async fn record(
    request: HttpRequest,
    service: web::Data<RecorderService>,
    body: web::Payload,
) -> Result<HttpResponse, ProblemResponse> {
    let thread = page::thread_in_path(&request)?;
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let Some(form) = form_of(kind) else {
        let detail = "send events as text/event-stream or application/x-ndjson";
        let problem = Problem::new(ProblemKind::UnsupportedMediaType, detail);
        return Err(problem.with_field("Content-Type").into());
    };
    let log = service.log(thread, Some(page::token(&request)?));
    let log = log.map_err(|e| refused(&e))?;
    log.create().await.map_err(|e| refused(&e))?;
    let permit = permit(&service, &log).await?;
    let now = log.state().await.map_err(|e| refused(&e))?.value;
    let mut recording = recording(&service, log, permit, now);
    if recording.recorder.has_lease() {
        return Err(busy());
    }
    if recording.recorder.is_running() {
        recording.permit.has_begun();
    }
    let body = body.map(|piece| piece.map_err(|e| e.to_string()));
    let source = Source::new(body, form, service.source_limits());
    let mut events = 0;
    let mut recorded = until_shutdown(&service, &mut recording, source, &mut events).await;
    // If the recorder itself stops, the caller can go on at another one.
    let is_stopping = service.tasks().shutdown().has_begun();
    if matches!(recorded, Ok(Outcome::Stopped)) && !is_stopping {
        let ended = recording.end(&End::Cancelled).await;
        recorded = ended.map(|()| Outcome::Stopped);
    }
    answer(&service, &recording, recorded, events)
}

/// Records a source to its end, or until the recorder stops: the server ends its requests soon after, and the caller must
/// learn what is recorded.
async fn until_shutdown(
    service: &RecorderService,
    recording: &mut Recording,
    source: Source<impl Body>,
    events: &mut usize,
) -> Result<Outcome, LogError> {
    let (shutdown, stop) = (service.tasks().shutdown(), recording.permit.stop.clone());
    let mut recorded = std::pin::pin!(recording.record(source, |more| *events += more));
    tokio::select! {
        recorded = &mut recorded => return recorded,
        () = shutdown.begun() => stop.cancel(),
    }
    recorded.await
}

/// A recorder at the end of the thread.
fn recording(
    service: &RecorderService,
    log: ThreadLog,
    permit: Box<Permit>,
    now: StateAt,
) -> Recording {
    let recorder = Recorder::new(now.state, service.recording_options());
    Recording {
        log,
        has_run: recorder.is_running(),
        recorder,
        cursor: now.cursor,
        permit,
        batch_interval: service.settings().batch_interval,
        quiet: NEVER,
        written: Instant::now(),
        after_end: NEVER,
        ended: None,
    }
}

/// Ends a run whose events somebody sends, between two of the requests. Returns whether there was one.
pub(super) async fn end_between(
    request: &HttpRequest,
    service: &RecorderService,
    thread: &LtmKey,
) -> Result<bool, ProblemResponse> {
    let log = service.log(thread.clone(), Some(page::token(request)?));
    let log = log.map_err(|e| refused(&e))?;
    let permit = match service.runs().take(thread) {
        Turn::Mine(permit) => permit,
        // The run has ended, or is being recorded, since the caller asked for it.
        Turn::Other(_) => return Ok(service.runs().stop(thread)),
        Turn::Full => return Err(full(service)),
    };
    let now = match log.state().await {
        Err(error) if error.is(ProblemKind::UnknownLtm) => return Ok(false),
        now => now.map_err(|e| refused(&e))?.value,
    };
    let mut recording = recording(service, log, permit, now);
    // A run with a lease belongs to the recorder that began it.
    if !recording.recorder.is_running() || recording.recorder.has_lease() {
        return Ok(false);
    }
    match recording.end(&End::Cancelled).await {
        Ok(()) => Ok(true),
        Err(LogError::Client(error)) => Err(refused(&error)),
        Err(LogError::Taken | LogError::Event(_)) => Ok(false),
    }
}

/// The right to record the thread: two writers at once would mix their events.
async fn permit(
    service: &RecorderService,
    log: &ThreadLog,
) -> Result<Box<Permit>, ProblemResponse> {
    let mut turn = service.runs().take(log.key());
    if let Turn::Other(other) = &turn
        && other.is_ending()
        && !other.clone().attachable().await
    {
        turn = service.runs().take(log.key());
    }
    match turn {
        Turn::Mine(permit) => Ok(permit),
        Turn::Other(_) => Err(busy()),
        Turn::Full => Err(full(service)),
    }
}

/// The answer while a recorder writes the thread.
fn busy() -> ProblemResponse {
    let detail = "a run of this thread is being recorded; send the events after its end";
    Problem::new(ProblemKind::Busy, detail).into()
}

/// The answer while the recorder has as many runs as it may.
pub(super) fn full(service: &RecorderService) -> ProblemResponse {
    service.limits().hit("agui.max_runs");
    let detail = "this recorder has as many runs as it may (`agui.max_runs`)";
    Problem::new(ProblemKind::OverLimit, detail).into()
}

fn answer(
    service: &RecorderService,
    recording: &Recording,
    recorded: Result<Outcome, LogError>,
    events: usize,
) -> Result<HttpResponse, ProblemResponse> {
    let kept = |why: &str| {
        format!("{why}; {events} events before it are recorded, so send the others from there")
    };
    match recorded {
        Ok(Outcome::Complete | Outcome::Stopped) => Ok(HttpResponse::Ok().json(json!({
            "fqn": recording.log.key().fqn(),
            "key": recording.log.key().key(),
            "cursor": recording.cursor,
            "events": events,
            "running": recording.recorder.is_running(),
        }))),
        Ok(Outcome::Ended(End::Failed { code, message })) => {
            if code == "event-too-large" {
                service.limits().hit("agui.max_event");
            }
            Err(Problem::new(ProblemKind::InvalidRequest, kept(&message)).into())
        }
        Ok(Outcome::Ended(End::Cancelled)) => {
            Err(Problem::new(ProblemKind::Unavailable, kept("the recorder stops")).into())
        }
        Err(LogError::Client(error)) => Err(refused(&error)),
        Err(error) => {
            Err(Problem::new(ProblemKind::InvalidRequest, kept(&error.to_string())).into())
        }
    }
}
