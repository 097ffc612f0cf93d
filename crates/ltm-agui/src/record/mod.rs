//! From AG-UI events to snapshots. Everything here is a function of its arguments: no network and no clock.

mod chunks;
mod event;
mod messages;
mod open;
mod own_state;
mod page;
mod run;
#[cfg(test)]
mod tests;
mod thinking;

use json_patch::PatchOperation;
use ltm_state::{Limits, Tree, diff::diff};
use ltm_types::{
    member::{MESSAGES, RUN, STATUS},
    shorten,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use chunks::Lanes;
pub use event::{Event, EventError, join};
use messages::{Messages, add};
use open::Open;
pub use own_state::KEPT;
pub use run::{End, Run};
use thinking::Continues;

/// The `reason` of every snapshot that the recorder writes.
pub const REASON: &str = "agui";

/// The most characters of a run's id that the id of a reasoning begins with.
const SHOWN_RUN: usize = 64;

/// One snapshot: an event, and what it changes.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    reason: &'static str,
    /// The event, or only its type if the patch says the rest.
    pub item: Value,
    /// What it changes.
    pub patch: Vec<PatchOperation>,
    /// Why the event could not be recorded as the agent meant it.
    #[serde(skip)]
    pub failure: Option<String>,
}

impl Record {
    /// The bytes of the record in a write.
    pub fn size(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |text| text.len())
    }
}

/// How a recorder records.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether `RAW` events are kept.
    pub raw: bool,
    /// The limits of the patches that the agent sends: a small one can copy without end.
    pub limits: Limits,
}

/// What a run had begun at some event.
#[derive(Clone, Debug)]
pub struct Mark {
    open: Open,
    lanes: Lanes,
    run: Option<Run>,
}

/// Turns the events of a thread into snapshots. It keeps the state of the LTM, and what the run has begun.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// The agent's own state.
    own: Tree,
    /// The members of the recording.
    kept: Tree,
    open: Open,
    lanes: Lanes,
    /// The current run, if there is one.
    run: Option<Run>,
    /// The lease of the runs that the recorder begins.
    lease: Option<u64>,
    /// Whether the page that began the run is behind the thread.
    page_is_behind: bool,
    options: Options,
}

impl Recorder {
    /// A recorder that continues an LTM with this state.
    pub fn new(state: Map<String, Value>, options: Options) -> Self {
        let run = Run::of_state(&state).filter(|_| Run::is_active(&state));
        let (own, mut kept) = own_state::split(state);
        kept.insert(MESSAGES.into(), messages::of_state(&kept).into());
        let mut recorder = Self {
            own: Tree::new(Value::Object(own)),
            kept: Tree::new(Value::Object(kept)),
            open: Open::default(),
            lanes: Lanes::default(),
            run,
            lease: None,
            page_is_behind: false,
            options,
        };
        (recorder.open.texts, recorder.open.calls) = recorder.messages().unfinished();
        recorder
    }

    /// What the run has begun, to be given to [`Recorder::rebase`].
    pub fn mark(&self) -> Mark {
        Mark {
            open: self.open.clone(),
            lanes: self.lanes.clone(),
            run: self.run.clone(),
        }
    }

    /// Continues at `mark` over another state: somebody else has written to the LTM. False if its run is no longer the one
    /// of `mark`.
    pub fn rebase(&mut self, state: Map<String, Value>, mark: &Mark) -> bool {
        let other = Self::new(state, self.options);
        let same = other.run == mark.run;
        *self = Self {
            open: mark.open.clone(),
            lanes: mark.lanes.clone(),
            lease: self.lease,
            ..other
        };
        same
    }

    /// Whether the run counts as lost some time after its last entry.
    pub fn has_lease(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.lease.is_some())
    }

    /// Whether a run is recorded.
    pub fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// Whether an LTM with this state is in the run of this recorder, or in that of `mark`.
    pub fn is_in_run(&self, state: &Map<String, Value>, mark: &Mark) -> bool {
        let run = Run::of_state(state).filter(|_| Run::is_active(state));
        run.is_some() && (run == mark.run || run == self.run)
    }

    fn messages(&self) -> Messages<'_> {
        let all = self.kept.value()[MESSAGES].as_array();
        Messages(all.map_or(&[], Vec::as_slice))
    }

    /// The approximate bytes of the state as JSON text.
    pub fn bytes(&self) -> usize {
        self.own.bytes() + self.kept.bytes()
    }

    fn own_state(&self) -> &Value {
        self.own.value()
    }

    /// Begins a run with what the page sent: messages that the thread lacks are added, and a state that is not empty
    /// replaces that of the thread, unless the page is behind the thread.
    pub fn start(&mut self, run: Run, input: &Map<String, Value>) -> Vec<Record> {
        self.lease = run.lease;
        self.page_is_behind = self.is_behind(input);
        let all = input.get("messages").and_then(Value::as_array);
        let new = self.messages().missing(all.map_or(&[], Vec::as_slice));
        let mut event = Event::new(
            "RUN_STARTED",
            &[("threadId", &run.thread), ("runId", &run.run)],
        );
        event.set(
            "input",
            json!({
                "threadId": run.thread, "runId": run.run, "messages": new, "tools": [], "context": [],
            }),
        );
        let mut records = Vec::new();
        self.begin(run, event, &new, &mut records);
        let state = input
            .get("state")
            .filter(|it| it.as_object().is_some_and(|it| !it.is_empty()))
            .filter(|_| !self.page_is_behind);
        if let Some(state) = state {
            self.state_snapshot(state.clone(), &mut records);
        }
        records
    }

    fn begin(&mut self, run: Run, event: Event, new: &[Value], records: &mut Vec<Record>) {
        let mut patch = vec![
            add(vec![STATUS.into()], "active".into()),
            add(vec![RUN.into()], run.to_value()),
        ];
        if self.messages().0.is_empty() {
            // The list may be missing.
            patch.push(add(vec![MESSAGES.into()], json!([])));
        }
        patch.extend(self.messages().append(new));
        self.run = Some(run);
        self.open = Open::default();
        self.lanes = Lanes::default();
        self.keep(event.into_value(), patch, records);
    }

    /// Records an event.
    ///
    /// # Errors
    ///
    /// [`EventError`] if a short form names no message, if the first event begins no run, or if too much is open.
    pub fn record(&mut self, event: Event) -> Result<Vec<Record>, EventError> {
        let mut records = Vec::new();
        if event.kind() == "RUN_STARTED" {
            self.run_started(event, &mut records)?;
            return Ok(records);
        }
        if self.run.is_none() {
            return Err(EventError::Member {
                kind: event.kind().into(),
                member: "RUN_STARTED before it",
            });
        }
        let event = self.with_reasoning_id(event);
        let events = self.lanes.expand(event)?;
        for event in &events {
            self.open.check(event)?;
        }
        for event in events {
            self.one(event, &mut records);
        }
        Ok(records)
    }

    /// Gives an event of the older form of reasoning the id that it lacks.
    fn with_reasoning_id(&self, event: Event) -> Event {
        let Some((kind, continues)) = thinking::reasoning(event.kind()) else {
            return event;
        };
        let open = match continues {
            Continues::Nothing => None,
            Continues::Text => self.open.last_reasoning().map(str::to_owned),
            Continues::Span => self.open.last_span().map(str::to_owned),
        };
        let id = open.unwrap_or_else(|| self.new_reasoning_id());
        thinking::with_id(event, kind, &id)
    }

    fn new_reasoning_id(&self) -> String {
        let run = self.run.as_ref().map_or("", |it| it.run.as_str());
        let run: String = run.chars().take(SHOWN_RUN).collect();
        let known = self.messages().ids();
        let is_free = |id: &String| !known.contains(id.as_str()) && !self.open.has_span(id);
        let mut ids = (1_u64..).map(|n| format!("{run}-thinking-{n}"));
        ids.find(is_free).unwrap_or_default()
    }

    /// The end of a run that its agent does not end; nothing if there is no run.
    pub fn end(&mut self, end: &End) -> Vec<Record> {
        let mut records = Vec::new();
        let event = match end {
            End::Cancelled => {
                let mut event = Event::new("RUN_FINISHED", &[]);
                // Clients before 1.0.0 reject a run with the outcome `cancelled`.
                event.set("result", json!({"cancelled": true}));
                event
            }
            End::Failed { code, message } => {
                Event::new("RUN_ERROR", &[("message", message), ("code", code)])
            }
        };
        if self.run.is_some() {
            self.run_ended(event, &mut records);
        }
        records
    }

    /// Only the end itself, of a run whose end with all that is open cannot be recorded.
    pub fn end_only(&mut self, end: &End) -> Vec<Record> {
        self.open = Open::default();
        let (code, message) = match end {
            End::Failed { code, message } => (*code, message.as_str()),
            End::Cancelled => ("not-recorded", "the end of the run could not be recorded"),
        };
        let event = Event::new("RUN_ERROR", &[("message", message), ("code", code)]);
        let mut records = Vec::new();
        self.run_ended(event, &mut records);
        records
    }

    /// A snapshot that changes nothing, so that the run does not count as lost.
    pub fn alive(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        if self.run.is_some() {
            let mut event = Event::new("CUSTOM", &[("name", "ltm-live.running")]);
            event.set("value", json!({}));
            self.keep(event.into_value(), Vec::new(), &mut records);
        }
        records
    }

    fn run_started(
        &mut self,
        mut event: Event,
        records: &mut Vec<Record>,
    ) -> Result<(), EventError> {
        let input = event.take("input");
        let all = input.as_ref().and_then(|it| it["messages"].as_array());
        let new = self.messages().missing(all.map_or(&[], Vec::as_slice));
        if self.run.is_some() {
            // Who records the run has begun it.
            let patch = self.messages().append(&new);
            if !patch.is_empty() {
                self.keep(json!({"type": "MESSAGES_SNAPSHOT"}), patch, records);
            }
            return Ok(());
        }
        let id = |member| {
            event
                .text(member)
                .map(str::to_owned)
                .ok_or(EventError::Member {
                    kind: "RUN_STARTED".into(),
                    member,
                })
        };
        let run = Run {
            thread: id("threadId")?,
            run: id("runId")?,
            lease: self.lease,
        };
        if input.is_some() {
            event.set(
                "input",
                json!({
                    "threadId": run.thread, "runId": run.run, "messages": new, "tools": [], "context": [],
                }),
            );
        }
        self.begin(run, event, &new, records);
        Ok(())
    }

    /// Records an event of a run, in its long form.
    fn one(&mut self, event: Event, records: &mut Vec<Record>) {
        match event.kind() {
            "STATE_SNAPSHOT" | "STATE_DELTA" => self.state(event, records),
            "MESSAGES_SNAPSHOT" => self.messages_snapshot(event, records),
            "RUN_FINISHED" | "RUN_ERROR" => self.run_ended(event, records),
            "ACTIVITY_DELTA" => self.activity_delta(event, records),
            "RAW" if !self.options.raw => {}
            "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT" | "TOOL_CALL_ARGS" => {
                self.piece(event, records);
            }
            "TEXT_MESSAGE_START"
            | "TEXT_MESSAGE_END"
            | "TOOL_CALL_START"
            | "TOOL_CALL_END"
            | "TOOL_CALL_RESULT"
            | "REASONING_START"
            | "REASONING_END"
            | "REASONING_MESSAGE_START"
            | "REASONING_MESSAGE_END"
            | "REASONING_ENCRYPTED_VALUE"
            | "ACTIVITY_SNAPSHOT"
            | "STEP_STARTED"
            | "STEP_FINISHED"
            | "SUBAGENT_STARTED"
            | "SUBAGENT_FINISHED"
            | "SUBAGENT_ERROR"
            | "CUSTOM"
            | "RAW" => self.plain(event, records),
            // A client rejects the run at a type that it does not know. The gateway names these events in the same way.
            kind => {
                let name = format!("ag-ui.{}", shorten(kind));
                let mut custom = Event::new("CUSTOM", &[("name", &name)]);
                custom.set("value", event.into_value());
                self.plain(custom, records);
            }
        }
    }

    /// Records an event as it is, with what it means for the messages.
    fn plain(&mut self, event: Event, records: &mut Vec<Record>) {
        let is_text = matches!(
            event.kind(),
            "TEXT_MESSAGE_START" | "REASONING_MESSAGE_START"
        );
        if (is_text && self.messages().is_activity(event.id("messageId")))
            || !self.open.note(&event)
        {
            return;
        }
        let messages = self.messages();
        let patch = match event.kind() {
            "TEXT_MESSAGE_START" => {
                messages.start_text(&event, event.text("role").unwrap_or("assistant"))
            }
            "REASONING_MESSAGE_START" => messages.start_text(&event, "reasoning"),
            "TEXT_MESSAGE_END" | "REASONING_MESSAGE_END" => messages.end_text(&event),
            "TOOL_CALL_START" => messages.start_call(&event),
            "TOOL_CALL_END" => messages.end_call(&event),
            "TOOL_CALL_RESULT" => messages.result(&event),
            "ACTIVITY_SNAPSHOT" => messages.activity(&event),
            "REASONING_ENCRYPTED_VALUE" => messages.encrypted(&event),
            _ => Vec::new(),
        };
        self.keep(event.into_value(), patch, records);
    }

    /// Records a piece of a text. If the text is not open, it is opened first: a client rejects the run otherwise.
    fn piece(&mut self, event: Event, records: &mut Vec<Record>) {
        let (messages, kind) = (self.messages(), event.kind());
        let start = match kind {
            "TOOL_CALL_ARGS" => {
                let id = event.id("toolCallId");
                let Some((at, nth)) = messages.tool_call(id) else {
                    return;
                };
                let call = &messages.0[at]["toolCalls"][nth]["function"]["name"];
                let name = call.as_str().unwrap_or_default();
                let is_open = self.open.calls.iter().any(|open| open == id);
                let start = [("toolCallId", id), ("toolCallName", name)];
                (!is_open).then(|| Event::new("TOOL_CALL_START", &start))
            }
            _ => {
                let (id, reasoning) = (event.id("messageId"), kind != "TEXT_MESSAGE_CONTENT");
                if messages.is_activity(id) {
                    return;
                }
                let kind = match reasoning {
                    true => "REASONING_MESSAGE_START",
                    false => "TEXT_MESSAGE_START",
                };
                let is_open = self.open.has_text(id, reasoning);
                (!is_open).then(|| Event::new(kind, &[("messageId", id)]))
            }
        };
        if let Some(mut start) = start {
            start.inherit(&event, &["subagentRunId"]);
            self.plain(start, records);
        }
        let patch = match event.kind() {
            "TOOL_CALL_ARGS" => self.messages().arguments(&event),
            _ => self.messages().text(&event),
        };
        self.keep(event.into_value(), patch, records);
    }

    fn state(&mut self, mut event: Event, records: &mut Vec<Record>) {
        if let Some(snapshot) = event.take("snapshot") {
            return self.state_snapshot(snapshot, records);
        }
        let delta = event.take("delta").unwrap_or_default();
        let changed = own_state::changed(&mut self.own, &delta, &self.options.limits);
        record_change("STATE_DELTA", changed, records);
    }

    fn state_snapshot(&mut self, snapshot: Value, records: &mut Vec<Record>) {
        let changed = own_state::replaced(&mut self.own, snapshot);
        record_change("STATE_SNAPSHOT", changed, records);
    }

    fn messages_snapshot(&mut self, mut event: Event, records: &mut Vec<Record>) {
        for end in self.open.end_messages() {
            self.plain(end, records);
        }
        let all = event.take("messages").unwrap_or_default();
        let all = self
            .messages()
            .replaced(all.as_array().map_or(&[], Vec::as_slice));
        let of = |messages: &[Value]| Map::from_iter([(MESSAGES.to_owned(), messages.into())]);
        let patch = diff(&of(self.messages().0), &of(&all));
        if !patch.is_empty() {
            self.keep(json!({"type": "MESSAGES_SNAPSHOT"}), patch, records);
        }
    }

    fn activity_delta(&mut self, event: Event, records: &mut Vec<Record>) {
        let Some(place) = self.messages().activity_place(&event) else {
            return;
        };
        let patch = event.get("patch").cloned().unwrap_or_default();
        let patch = own_state::below(&format!("{place}/content"), &patch);
        let limits = self.options.limits;
        let applied = own_state::read(&patch, &limits).and_then(|mut patch| {
            let place = place.split('/').skip(1).map(str::to_owned);
            let kind = place.chain(["activityType".to_owned()]).collect();
            patch.push(add(kind, event.id("activityType").into()));
            self.kept.apply(&patch, &limits).map(drop)?;
            Ok(patch)
        });
        let (patch, failure) = match applied {
            Ok(patch) => (patch, None),
            Err(error) => {
                let failure = format!("the patch of an activity does not apply: {error}");
                (Vec::new(), Some(failure))
            }
        };
        records.push(Record {
            reason: REASON,
            item: event.into_value(),
            patch,
            failure,
        });
    }

    fn run_ended(&mut self, mut event: Event, records: &mut Vec<Record>) {
        for end in self.open.end_all() {
            self.plain(end, records);
        }
        let Some(run) = self.run.take() else { return };
        let failed = event.kind() == "RUN_ERROR";
        let failure = failed.then(|| event.id("message").to_owned());
        if !failed {
            event.set("threadId", run.thread);
            event.set("runId", run.run);
        }
        let patch = run::ended(&event);
        self.keep(event.into_value(), patch, records);
        if let Some(last) = records.last_mut() {
            last.failure = failure;
        }
    }

    /// Applies a patch of the recording's own members, and records it. The patch has only what the event brings, so it needs no
    /// limits; and the end of a run must apply to any state.
    fn keep(&mut self, item: Value, patch: Vec<PatchOperation>, records: &mut Vec<Record>) {
        let applied = self.kept.apply(&patch, &Limits::UNLIMITED).map(drop);
        let (patch, failure) = match applied {
            Ok(()) => (patch, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        records.push(Record {
            reason: REASON,
            item,
            patch,
            failure,
        });
    }
}

/// Records a change of the agent's state; one that changes nothing is left out.
fn record_change(
    kind: &str,
    changed: Result<Vec<PatchOperation>, String>,
    records: &mut Vec<Record>,
) {
    let (patch, failure) = match changed {
        Ok(patch) if patch.is_empty() => return,
        Ok(patch) => (patch, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    records.push(Record {
        reason: REASON,
        item: json!({"type": kind}),
        patch,
        failure,
    });
}
