//! A run from its beginning to its end, in a task that no page owns.

use std::time::Duration;

use ltm_client::{Cursor, LtmKey};
use ltm_types::{Problem, ProblemKind};
use reqwest::{Url, header::HeaderMap};
use serde_json::{Map, Value};
use tokio::{sync::oneshot, time::Instant};

use super::{
    inputs::Input,
    recorder_service::RecorderService,
    recording::{Outcome, Recording},
    runs::Permit,
    source::{ask, failed},
    thread_log::{LogError, ThreadLog},
};
use crate::record::{Recorder, Run};

/// How long the recorder waits for another run in the same answer of an agent. Some agents keep their answer open.
const AFTER_END: Duration = Duration::from_secs(10);

/// The wish of a page to run an agent.
pub(super) struct Wish {
    pub(super) thread: LtmKey,
    pub(super) agent: Url,
    /// The `RunAgentInput` of the page, with the key of the LTM as `threadId`.
    pub(super) input: Input,
    /// The headers for the agent.
    pub(super) headers: HeaderMap,
}

/// How a run began.
pub(super) enum Begun {
    /// The log is at this cursor after the beginning of the run, and the page that asked for it has all that comes before.
    After(Cursor),
    /// The page lacks messages or the state of the thread.
    WithMore,
    /// Another recorder runs the thread; or the page asks again for a run that it did not see begin.
    Elsewhere,
}

/// Runs an agent and records it. `begun` learns how it began.
pub(super) async fn perform(
    service: RecorderService,
    wish: Wish,
    permit: Box<Permit>,
    begun: oneshot::Sender<Result<Begun, Problem>>,
) {
    let started = match service.log(wish.thread.clone(), None) {
        Ok(log) => start(&service, log, &wish, permit).await,
        Err(error) => Err(error.into()),
    };
    let mut recording = match started {
        Ok(Some(started)) => started,
        Ok(None) => return drop(begun.send(Ok(Begun::Elsewhere))),
        Err(error) => return drop(begun.send(Err(not_begun(&wish.thread, &error)))),
    };
    // The page may have left; the run goes on.
    let members = &wish.input.members;
    let _ = begun.send(Ok(match recording.recorder.is_known_to(members) {
        true => Begun::After(recording.cursor),
        false => Begun::WithMore,
    }));
    tracing::debug!(ltm = %wish.thread, "a run began");
    let thread = wish.thread.clone();
    let recorded = record(&service, wish, &mut recording).await;
    let ended = match recorded {
        Ok(Outcome::Complete) => recording.end_complete().await,
        Ok(Outcome::Stopped) => recording.end(&service.runs().stopped()).await,
        Ok(Outcome::Ended(end)) => recording.end(&end).await,
        Err(LogError::Event(error)) => {
            let end = failed(error.code(), error.to_string());
            recording.end(&end).await
        }
        Err(LogError::Client(error)) => {
            let message = format!("events of the agent could not be recorded: {error}");
            recording.end(&failed("not-recorded", message)).await
        }
        Err(error @ LogError::Taken) => Err(error),
    };
    if let Err(error) = ended {
        tracing::error!(ltm = %thread, %error, "the end of a run could not be recorded");
    }
}

/// Begins the run in the log. `None` if another recorder runs the thread, or if this was its last run.
async fn start(
    service: &RecorderService,
    log: ThreadLog,
    wish: &Wish,
    permit: Box<Permit>,
) -> Result<Option<Recording>, LogError> {
    let now = log.state().await?.value;
    let id = text(&wish.input.members, "runId");
    let is_repeated =
        Run::of_state(&now.state).is_some_and(|last| last.run == id && !id.is_empty());
    if is_repeated {
        return Ok(None);
    }
    if Run::is_active(&now.state) {
        // If the other recorder has died, its run ends after its lease.
        permit.is_elsewhere();
        return Ok(None);
    }
    let settings = service.settings();
    let recorder = Recorder::new(now.state, service.recording_options());
    let mut recording = Recording {
        log,
        recorder,
        cursor: now.cursor,
        permit,
        batch_interval: settings.batch_interval,
        quiet: service.quiet(),
        written: Instant::now(),
        has_run: false,
        after_end: AFTER_END,
        ended: None,
    };
    let run = Run {
        thread: wish.thread.key().into(),
        run: id,
        lease: Some(settings.lease.as_secs().max(1)),
    };
    match recording.begin(&run, &wish.input.members).await {
        Ok(()) => Ok(Some(recording)),
        Err(LogError::Taken) => {
            recording.permit.is_elsewhere();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn record(
    service: &RecorderService,
    wish: Wish,
    recording: &mut Recording,
) -> Result<Outcome, LogError> {
    let Wish {
        agent,
        mut input,
        headers,
        ..
    } = wish;
    if recording.recorder.page_is_behind() {
        recording.recorder.bring_up_to_date(&mut input.members);
        input.size += recording.recorder.bytes();
    }
    let limits = service.source_limits();
    let asked = ask(service.http(), agent, input, headers, limits);
    let source = recording.alive_while(asked).await?;
    match source {
        Some(Ok(source)) => recording.record(source, |_| {}).await,
        Some(Err(end)) => Ok(Outcome::Ended(end)),
        None => Ok(Outcome::Stopped),
    }
}

/// A member of an input that is text.
fn text(input: &Map<String, Value>, member: &str) -> String {
    let text = input.get(member).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The answer to a page whose run did not begin. The recorder's own credential is no business of the page.
fn not_begun(thread: &LtmKey, error: &LogError) -> Problem {
    tracing::error!(ltm = %thread, %error, "a run could not begin");
    if let LogError::Client(error) = error
        && let Some(problem) = error.problem()
        && !problem.is(ProblemKind::Unauthenticated)
        && !problem.is(ProblemKind::Forbidden)
    {
        return problem.clone();
    }
    let detail = "the recorder cannot write to the LTM of this thread; its log says why";
    Problem::new(ProblemKind::Unavailable, detail)
}
