//! One answer: its runs, and what is open in them.

use std::rc::Rc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    event::{TooLarge, custom, event, small},
    open::{Effect, Open, OpenItems, Opened},
    state::Status,
    translation::{Entry, Item, Translation, Whole},
};
use crate::dialect::answer::{Events, Then};

/// A part of this many bytes is shared, not copied.
const LARGE: usize = 16 * 1024;

/// What a client asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunRequest {
    /// The ids of the run: the client expects its own back.
    pub thread_id: Option<String>,
    pub run_id: Option<String>,
    /// The version of AG-UI that the client names.
    pub protocol_version: Option<String>,
    /// Whether to send `STEP_STARTED` and `STEP_FINISHED` around each step.
    pub steps: bool,
    /// Whether to say when the client has caught up.
    pub live: bool,
    /// Whether the answer goes on after the end of a run.
    pub endless: bool,
}

/// The runs of an answer.
pub(super) struct Runs {
    request: RunRequest,
    /// The id of the LTM, for a client that names no thread.
    id: String,
    pub recorded: bool,
    /// The status; `None` while it is not known.
    status: Option<Status>,
    /// What the state says about the run that has ended.
    outcome: Option<Value>,
    error: Option<Value>,
    /// The state when a client that resumes came.
    head: Option<Rc<Translation>>,
    /// The ids of the current run, or the last one.
    ids: Option<(String, String)>,
    is_open: bool,
    open: OpenItems,
}

/// The end of a run, as the status says it.
enum Ending {
    Finished(Value),
    Failed,
}

impl Runs {
    /// The runs of an answer. For a client that resumes, `head` is the current state.
    pub(super) fn new(request: RunRequest, id: String, head: Option<Rc<Translation>>) -> Self {
        let recorded = head
            .as_deref()
            .and_then(whole)
            .is_some_and(|it| it.recorded);
        Self {
            request,
            id,
            recorded,
            status: None,
            outcome: None,
            error: None,
            head,
            ids: None,
            is_open: false,
            open: OpenItems::default(),
        }
    }

    /// Writes what a message becomes.
    pub(super) fn message(&mut self, message: &Translation, events: &mut Events) -> Then {
        let then = match message {
            Translation::Nothing => Ok(Then::Continue),
            Translation::NeedsState => Ok(Then::Reset),
            Translation::Deleted => Ok(self.fail("deleted", "the LTM was deleted", events)),
            Translation::Live => self.caught_up(events),
            Translation::State(whole) => self.whole(whole, events),
            Translation::Entry(entry) => self.entry(entry, events),
        };
        then.unwrap_or_else(|TooLarge| {
            let text = "an event would be larger than the clients of AG-UI accept (10 MiB)";
            self.fail("state-too-large", text, events)
        })
    }

    /// Ends the answer with an error.
    pub(super) fn fail(&mut self, code: &str, message: &str, events: &mut Events) -> Then {
        self.is_open = false;
        let error = json!({"type": "RUN_ERROR", "message": message, "code": code});
        events.write(&small(&error));
        Then::End
    }

    fn entry(&mut self, entry: &Entry, events: &mut Events) -> Result<Then, TooLarge> {
        if let Some(item) = &entry.item {
            let then = self.item(item, events)?;
            if then != Then::Continue {
                return Ok(then);
            }
        }
        if let Some(status) = &entry.status {
            self.status = Some(status.clone());
            (self.outcome, self.error) = (None, None);
        }
        let step = entry.step.as_ref().filter(|_| self.request.steps);
        if !entry.more.is_empty() || entry.delta.is_some() {
            self.begin(None, events)?;
        }
        write(events, step.map(|(start, _)| start));
        for more in &entry.more {
            write(events, Some(more.as_ref().map_err(|e| *e)?));
        }
        if let Some(delta) = &entry.delta {
            write(events, Some(delta.as_ref().map_err(|e| *e)?));
        }
        write(events, step.map(|(_, end)| end));
        self.settle(events)
    }

    fn whole(&mut self, whole: &Whole, events: &mut Events) -> Result<Then, TooLarge> {
        // Clients reject a second begin of what is open.
        self.close_all(events);
        self.begin(None, events)?;
        self.recorded = whole.recorded;
        self.status = Some(whole.status.clone());
        (self.outcome, self.error) = (whole.outcome.clone(), whole.error.clone());
        if let Some(messages) = &whole.messages {
            write(events, Some(messages.complete.as_ref().map_err(|e| *e)?));
        }
        let snapshot = whole.snapshot.as_ref().map_err(|e| *e)?;
        for (open, start) in whole.messages.iter().flat_map(|it| &it.open) {
            write(events, Some(start));
            self.open.push(open.clone());
        }
        // Last, because it has the cursor: a client that is cut before it gets all of this again.
        write(events, Some(snapshot));
        self.settle(events)
    }

    fn caught_up(&mut self, events: &mut Events) -> Result<Then, TooLarge> {
        if let (None, Some(head)) = (&self.status, self.head.as_deref().and_then(whole)) {
            // No entry since has set the status.
            let (status, outcome, error) = (
                head.status.clone(),
                head.outcome.clone(),
                head.error.clone(),
            );
            (self.status, self.outcome, self.error) = (Some(status), outcome, error);
        }
        self.head = None;
        if self.ids.is_none() || self.request.live {
            self.begin(None, events)?;
        }
        if self.request.live {
            write(events, Some(&custom(None, "live", "true")?));
        }
        self.settle(events)
    }

    fn item(&mut self, item: &Item, events: &mut Events) -> Result<Then, TooLarge> {
        match item {
            Item::Run(item) => self.run(item, events),
            Item::Event(event, effect) => {
                let event = event.as_ref().map_err(|e| *e)?;
                self.begin(None, events)?;
                let Some((kind, effect, id)) = effect else {
                    write(events, Some(event));
                    return Ok(Then::Continue);
                };
                if !self.open_first(*kind, *effect, id, events) {
                    return Ok(Then::Reset);
                }
                write(events, Some(event));
                Ok(Then::Continue)
            }
        }
    }

    /// Opens what an event continues or ends, if the client has not got its first event; false if only the state can
    /// tell that event.
    fn open_first(&mut self, kind: Opened, effect: Effect, id: &str, events: &mut Events) -> bool {
        match (effect, self.open.has(kind, id)) {
            (Effect::Starts, _) => {
                // It is open twice in the log: the first one ends.
                if let Some(open) = self.open.remove(kind, id) {
                    write(events, Some(&open.end()));
                }
                self.open.push(Open::begun(kind, id));
            }
            (Effect::Continues, true) => {}
            (Effect::Ends, true) => drop(self.open.remove(kind, id)),
            (_, false) => {
                let list = self
                    .head
                    .as_deref()
                    .and_then(whole)
                    .and_then(|it| it.messages.as_ref());
                let known = list.and_then(|list| list.find(kind, id));
                let Some(open) = known.or_else(|| Open::anew(kind, id)) else {
                    return false;
                };
                write(events, Some(&open.start()));
                if effect == Effect::Continues {
                    self.open.push(open);
                }
            }
        }
        true
    }

    /// The begin or the end of a recorded run.
    fn run(&mut self, item: &Map<String, Value>, events: &mut Events) -> Result<Then, TooLarge> {
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        match text("type") {
            // The messages that the run begins with are in the state.
            Some("RUN_STARTED") if self.is_open => return Ok(Then::Reset),
            Some("RUN_STARTED") => self.begin(Some(item), events)?,
            Some("RUN_FINISHED") => {
                self.begin(None, events)?;
                self.finish(item.get("outcome"), item.get("result"), events)?;
            }
            _ => {
                self.begin(None, events)?;
                let message = text("message").unwrap_or("the run failed");
                return Ok(self.fail(text("code").unwrap_or("ltm-error"), message, events));
            }
        }
        Ok(Then::Continue)
    }

    /// Begins a run, unless one is open.
    fn begin(
        &mut self,
        item: Option<&Map<String, Value>>,
        events: &mut Events,
    ) -> Result<(), TooLarge> {
        if self.is_open {
            return Ok(());
        }
        let recorded = |name: &str| item?.get(name)?.as_str().map(String::from);
        let given = (self.request.thread_id.clone(), self.request.run_id.clone());
        let (thread, run) = match (&self.ids, item) {
            // The client knows the first run by its own ids.
            (None, _) => (
                given.0.or(recorded("threadId")),
                given.1.or(recorded("runId")),
            ),
            (Some(_), Some(_)) => (recorded("threadId"), recorded("runId")),
            (Some(ids), None) => (Some(ids.0.clone()), Some(ids.1.clone())),
        };
        let thread = thread.unwrap_or_else(|| self.id.clone());
        let run = run.unwrap_or_else(|| format!("ltm-{}", self.id));
        let mut event_of = item.cloned().unwrap_or_default();
        event_of.remove("rawEvent");
        event_of.insert("type".into(), "RUN_STARTED".into());
        event_of.insert("threadId".into(), thread.as_str().into());
        event_of.insert("runId".into(), run.as_str().into());
        match &self.request.protocol_version {
            Some(version) => event_of.insert("protocolVersion".into(), version.as_str().into()),
            None => event_of.remove("protocolVersion"),
        };
        (self.ids, self.is_open) = (Some((thread, run)), true);
        let started = event(None, &Value::Object(event_of).to_string())?;
        write(events, Some(&started));
        Ok(())
    }

    fn finish(
        &mut self,
        outcome: Option<&Value>,
        result: Option<&Value>,
        events: &mut Events,
    ) -> Result<(), TooLarge> {
        self.close_all(events);
        self.is_open = false;
        let (thread, run) = self.ids.clone().unwrap_or_default();
        let mut finished = json!({"type": "RUN_FINISHED", "threadId": thread, "runId": run});
        for (name, value) in [("outcome", outcome), ("result", result)] {
            if let Some(value) = value {
                finished[name] = value.clone();
            }
        }
        write(events, Some(&event(None, &finished.to_string())?));
        Ok(())
    }

    fn close_all(&mut self, events: &mut Events) {
        for open in self.open.take() {
            write(events, Some(&open.end()));
        }
    }

    /// Ends the run if the status says so, and the answer with it.
    fn settle(&mut self, events: &mut Events) -> Result<Then, TooLarge> {
        if self.is_open {
            match self.status.as_ref().and_then(|status| self.ending(status)) {
                None => return Ok(Then::Continue),
                Some(Ending::Finished(outcome)) => self.finish(Some(&outcome), None, events)?,
                Some(Ending::Failed) => {
                    let error = self.error.take();
                    let text = |name: &str| error.as_ref()?.get(name)?.as_str();
                    let message = text("message").unwrap_or("the LTM has failed");
                    return Ok(self.fail(text("code").unwrap_or("ltm-error"), message, events));
                }
            }
        }
        let is_over = self.ids.is_some() && !self.request.endless;
        Ok(if is_over { Then::End } else { Then::Continue })
    }

    /// Whether the run had ended at the state with which a client that resumes came.
    pub(super) fn is_over(&self) -> bool {
        let head = self.head.as_deref().and_then(whole);
        head.is_some_and(|head| self.ending(&head.status).is_some())
    }

    fn ending(&self, status: &Status) -> Option<Ending> {
        let success = || json!({"type": "success"});
        match status.as_deref()? {
            "finished" => Some(Ending::Finished(
                self.outcome.clone().unwrap_or_else(success),
            )),
            "interrupted" if self.recorded => {
                let interrupt = || json!({"type": "interrupt", "interrupts": []});
                Some(Ending::Finished(
                    self.outcome.clone().unwrap_or_else(interrupt),
                ))
            }
            "error" => Some(Ending::Failed),
            _ => None,
        }
    }
}

fn whole(translation: &Translation) -> Option<&Whole> {
    match translation {
        Translation::State(whole) => Some(whole),
        _ => None,
    }
}

fn write(events: &mut Events, part: Option<&Bytes>) {
    match part {
        Some(part) if part.len() > LARGE => events.share(part.clone()),
        Some(part) => events.write(part),
        None => {}
    }
}
