//! One answer: its runs, and what is open in them.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use super::{
    event::{Encoded, TooLarge, custom, share_large},
    message_list::KnownMessages,
    open::{Effect, Open, OpenItems, TooManyOpen},
    run_events::{EMPTY, Ending, RunIds, Started},
    state::quoted,
    translation::{Entry, Item, Recorded, Translation, Whole},
};
use crate::dialect::answer::{Events, Then};

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

/// The runs of an answer. Each subscriber has its own, so they share what may be large.
pub(super) struct Runs {
    request: RunRequest,
    /// The id of the LTM, for a client that names no thread.
    id: String,
    pub recorded: bool,
    /// How the run has ended, if the status says that it has; `None` while the status is not known.
    ending: Option<Option<Ending>>,
    /// The state when a client that resumes came.
    head: Option<Head>,
    /// The ids of the current run, or the last one.
    ids: Option<RunIds>,
    is_open: bool,
    open: OpenItems,
    /// Whether the client lacks the begin of something open: a run keeps a bounded number.
    is_partial: bool,
}

/// What a client that resumes needs of the state at which it came.
struct Head {
    ending: Option<Ending>,
    messages: Arc<KnownMessages>,
}

/// Why the events of a message end the run.
enum Failure {
    TooLarge,
    TooManyOpen,
}

impl Runs {
    /// The runs of an answer. For a client that resumes, `head` is the current state.
    pub(super) fn new(request: RunRequest, id: String, head: Option<Rc<Translation>>) -> Self {
        let head = match head.as_deref() {
            Some(Translation::State(whole)) => Some(whole),
            _ => None,
        };
        Self {
            request,
            id,
            recorded: head.is_some_and(|it| it.recorded),
            ending: None,
            head: head.map(|it| Head::of(it)),
            ids: None,
            is_open: false,
            open: OpenItems::default(),
            is_partial: false,
        }
    }

    /// Writes what a message becomes.
    pub(super) fn message(&mut self, message: &Translation, events: &mut Events) -> Then {
        let then = match message {
            Translation::Nothing => Ok(Then::Continue),
            Translation::NeedsState => Ok(Then::Reset),
            Translation::Deleted(error) => self.end(error, events),
            Translation::Live => self.caught_up(events),
            Translation::State(whole) => self.whole(whole, events),
            Translation::Entry(entry) => self.entry(entry, events),
        };
        then.unwrap_or_else(|failure| {
            let (code, message) = failure.told();
            self.fail(code, message, events)
        })
    }

    /// Ends the answer with an error.
    pub(super) fn fail(&mut self, code: &str, message: &str, events: &mut Events) -> Then {
        let error = Ending::error(None, code, message);
        // Such a text is never too large.
        self.end(&error, events).unwrap_or(Then::End)
    }

    fn entry(&mut self, entry: &Entry, events: &mut Events) -> Result<Then, Failure> {
        if let Some(item) = &entry.item {
            let then = self.item(item, events)?;
            if then != Then::Continue {
                return Ok(then);
            }
        }
        if let Some(status) = entry.status {
            self.ending = Some(Ending::of_status(status, self.recorded, None));
        }
        let step = entry.step.as_ref().filter(|_| self.request.steps);
        if !entry.more.is_empty() || entry.delta.is_some() || entry.end.is_some() {
            self.begin(None, events)?;
        }
        write(events, step.map(|(start, _)| start));
        for more in &entry.more {
            write_encoded(events, more)?;
        }
        if let Some(delta) = &entry.delta {
            write_encoded(events, delta)?;
        }
        write(events, step.map(|(_, end)| end));
        match &entry.end {
            Some(end) if self.end(end, events)? == Then::End => Ok(Then::End),
            _ => self.settle(events),
        }
    }

    fn whole(&mut self, whole: &Whole, events: &mut Events) -> Result<Then, Failure> {
        // Clients reject a second begin of a message that is open. What else is open is not part of the state, so the log
        // goes on with it.
        for open in self.open.take_messages() {
            events.write(&open.end());
        }
        self.begin(None, events)?;
        self.recorded = whole.recorded;
        self.ending = Some(whole.ending.clone());
        let messages = whole.messages.as_ref();
        self.is_partial = messages.is_some_and(|it| it.is_partial);
        if let Some(messages) = messages {
            write_encoded(events, &messages.complete)?;
        }
        for (open, start) in messages.iter().flat_map(|it| &it.open) {
            write(events, Some(start));
            self.push(open.clone(), events)?;
        }
        // Last, because it has the cursor: a client that is cut before it gets all of this again.
        write_encoded(events, &whole.snapshot)?;
        self.settle(events)
    }

    fn caught_up(&mut self, events: &mut Events) -> Result<Then, Failure> {
        if let (None, Some(head)) = (&self.ending, self.head.take()) {
            // No entry since has set the status.
            self.ending = Some(head.ending);
        }
        self.head = None;
        if self.ids.is_none() || self.request.live {
            self.begin(None, events)?;
        }
        if self.request.live {
            write_encoded(events, &custom(None, "live", "true"))?;
        }
        self.settle(events)
    }

    fn item(&mut self, item: &Item, events: &mut Events) -> Result<Then, Failure> {
        match item {
            // The messages that the run begins with are in the state.
            Item::Started(_) if self.is_open => {
                self.close_all(events);
                Ok(Then::Reset)
            }
            Item::Started(started) => self.begin(Some(started), events).map(|()| Then::Continue),
            Item::Event(recorded) => {
                self.begin(None, events)?;
                self.recorded(recorded, events)
            }
        }
    }

    fn recorded(&mut self, recorded: &Recorded, events: &mut Events) -> Result<Then, Failure> {
        if let Some((effect, open)) = &recorded.effect
            && !self.open_first(*effect, open, events)?
        {
            // Without its first event, clients reject this one. Another state would lack that event, too, if it has too
            // many texts.
            return Ok(match self.is_partial {
                true => Then::Continue,
                false => Then::Reset,
            });
        }
        let orphan = recorded.parent.as_ref();
        let orphan = orphan.filter(|(parent, _)| !self.open.has_subagent(parent));
        write_encoded(events, orphan.map_or(&recorded.event, |(_, event)| event))?;
        Ok(Then::Continue)
    }

    /// Opens what an event continues or ends, if the client has not got its first event; false if only the state can
    /// tell that event.
    fn open_first(
        &mut self,
        effect: Effect,
        open: &Arc<Open>,
        events: &mut Events,
    ) -> Result<bool, Failure> {
        let is_open = match effect {
            Effect::Continues => self.open.has(open),
            Effect::Starts | Effect::Ends => {
                let known = self.open.remove(open);
                if let (Effect::Starts, Some(known)) = (effect, &known) {
                    // It is open twice in the log: the first one ends.
                    events.write(&known.end());
                }
                known.is_some()
            }
        };
        if effect == Effect::Starts {
            self.push(open.clone(), events)?;
        } else if !is_open {
            let head = self.head.as_ref();
            let known = head.and_then(|head| head.messages.find(open.kind, &open.id));
            let Some(open) = known.or_else(|| open.has_start().then(|| open.clone())) else {
                return Ok(false);
            };
            events.write(&open.start());
            if effect == Effect::Continues {
                self.push(open, events)?;
            }
        }
        Ok(true)
    }

    /// Notes that something is open. If a run has too much open, its oldest message ends.
    fn push(&mut self, open: Arc<Open>, events: &mut Events) -> Result<(), Failure> {
        if let Some(oldest) = self.open.push(open)? {
            self.is_partial = true;
            events.write(&oldest.end());
        }
        Ok(())
    }

    /// Begins a run, unless one is open.
    fn begin(&mut self, started: Option<&Started>, events: &mut Events) -> Result<(), Failure> {
        if self.is_open {
            return Ok(());
        }
        let given = |id: &Option<String>| id.as_deref().map(|id| Bytes::from(quoted(id)));
        let recorded = (
            started.and_then(|it| it.thread.clone()),
            started.and_then(|it| it.run.clone()),
        );
        let (thread, run) = match (&self.ids, started) {
            // The client knows the first run by its own ids.
            (None, _) => (
                given(&self.request.thread_id).or(recorded.0),
                given(&self.request.run_id).or(recorded.1),
            ),
            (Some(_), Some(_)) => recorded,
            (Some(ids), None) => (Some(ids.thread.clone()), Some(ids.run.clone())),
        };
        let ids = RunIds {
            thread: thread.unwrap_or_else(|| quoted(&self.id).into()),
            run: run.unwrap_or_else(|| quoted(&format!("ltm-{}", self.id)).into()),
        };
        let version = self.request.protocol_version.as_deref();
        let tail = started.map_or(&EMPTY, |it| &it.tail);
        (self.ids, self.is_open) = (Some(ids.clone()), true);
        ids.start(version, tail, events)?;
        Ok(())
    }

    /// Ends the run, and the answer if it is an error.
    fn end(&mut self, ending: &Ending, events: &mut Events) -> Result<Then, Failure> {
        self.is_open = match ending {
            // Clients accept it whatever is open.
            Ending::Failed(_) => false,
            Ending::Finished(_) => {
                self.close_all(events);
                false
            }
        };
        ending.write(self.ids.as_ref(), events)?;
        Ok(match ending {
            Ending::Finished(_) => Then::Continue,
            Ending::Failed(_) => Then::End,
        })
    }

    fn close_all(&mut self, events: &mut Events) {
        for open in self.open.take() {
            events.write(&open.end());
        }
    }

    /// Ends the run if the status says so, and the answer with it.
    fn settle(&mut self, events: &mut Events) -> Result<Then, Failure> {
        if self.is_open {
            let Some(ending) = self.ending.clone().flatten() else {
                return Ok(Then::Continue);
            };
            if self.end(&ending, events)? == Then::End {
                return Ok(Then::End);
            }
        }
        let is_over = self.ids.is_some() && !self.request.endless;
        Ok(if is_over { Then::End } else { Then::Continue })
    }

    /// Whether the run had ended at the state with which a client that resumes came.
    pub(super) fn is_over(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.ending.is_some())
    }
}

impl Head {
    fn of(whole: &Whole) -> Self {
        let messages = whole.messages.as_ref();
        Self {
            ending: whole.ending.clone(),
            messages: messages.map_or_else(Arc::default, |it| it.known.clone()),
        }
    }
}

impl Failure {
    /// The code and the message of the error that ends the run.
    fn told(&self) -> (&'static str, &'static str) {
        match self {
            Self::TooLarge => (
                "state-too-large",
                "an event would be larger than the clients of AG-UI accept (10 MiB)",
            ),
            Self::TooManyOpen => (
                "too-many-open",
                "the run has more than 1,000 steps, reasonings and subagents open",
            ),
        }
    }
}

impl From<TooLarge> for Failure {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

impl From<TooManyOpen> for Failure {
    fn from(_: TooManyOpen) -> Self {
        Self::TooManyOpen
    }
}

fn write_encoded(events: &mut Events, event: &Encoded) -> Result<(), TooLarge> {
    share_large(event.as_ref().map_err(|error| *error)?, events);
    Ok(())
}

fn write(events: &mut Events, part: Option<&Bytes>) {
    if let Some(part) = part {
        share_large(part, events);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::agui::translation::Translations;

    fn runs() -> Runs {
        Runs {
            recorded: true,
            ..Runs::new(RunRequest::default(), "7".into(), None)
        }
    }

    fn translation(content: &Value) -> Rc<Translation> {
        let mut text = json!({"id": 7, "cursor": "1-2"});
        let (name, value) = content.as_object().unwrap().iter().next().unwrap();
        text[name] = value.clone();
        Translations::new("/_messages").of(vec![text.to_string().into()], true)
    }

    fn recorded(item: &Value) -> Rc<Translation> {
        translation(&json!({"snapshot": {"reason": "agui", "item": item, "patch": []}}))
    }

    fn parts(events: &mut Events) -> Vec<Bytes> {
        std::iter::from_fn(|| events.take()).collect()
    }

    fn types(events: &mut Events) -> Vec<String> {
        let text = String::from_utf8(parts(events).concat()).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let events = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
        events
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn subscribers_share_the_large_events_at_which_a_run_begins_and_ends() {
        let large = "x".repeat(100_000);
        let run = json!({"outcome": {"type": "success", "n": large}});
        let state = json!({"_run": run, "_status": "finished"});
        let error = json!({"_run": {"error": {"message": large}}, "_status": "error"});
        for message in [
            translation(&json!({"reset": {"reason": "requested", "state": state}})),
            translation(&json!({"reset": {"reason": "requested", "state": error}})),
            recorded(&json!({"type": "RUN_STARTED", "input": {"messages": [large]}})),
            recorded(&json!({"type": "RUN_STARTED", "threadId": large})),
            recorded(&json!({"type": "RUN_FINISHED", "result": large})),
            recorded(&json!({"type": "RUN_ERROR", "message": large})),
        ] {
            let [one, other] = [(); 2].map(|()| {
                let mut events = Events::default();
                runs().message(&message, &mut events);
                let large = parts(&mut events).into_iter();
                let large = large.filter(|part| part.len() > 30_000);
                large.map(|part| part.as_ptr()).collect::<Vec<_>>()
            });
            assert_eq!(one.len(), 3, "a connection takes pieces of it");
            assert_eq!(one, other);
        }
    }

    #[test]
    fn a_run_with_too_many_open_texts_ends_the_oldest() {
        let (mut runs, mut events) = (runs(), Events::default());
        let begin = |id: usize| json!({"type": "TOOL_CALL_START", "toolCallId": id.to_string(), "toolCallName": "f"});
        for id in 0..=1000 {
            runs.message(&recorded(&begin(id)), &mut events);
        }
        let begun = types(&mut events);
        assert_eq!(begun[1001..], ["TOOL_CALL_END", "TOOL_CALL_START"]);
        // The client does not have it any more, and no state tells its begin.
        let more = json!({"type": "TOOL_CALL_ARGS", "toolCallId": "0", "delta": "{"});
        assert_eq!(runs.message(&recorded(&more), &mut events), Then::Continue);
        assert!(parts(&mut events).is_empty());
        let finished = recorded(&json!({"type": "RUN_FINISHED"}));
        runs.message(&finished, &mut events);
        assert_eq!(types(&mut events).len(), 1001);
    }

    #[test]
    fn a_run_with_too_many_steps_ends_with_an_error() {
        let (mut runs, mut events) = (runs(), Events::default());
        let mut begin = |id: usize| {
            let item = json!({"type": "STEP_STARTED", "stepName": id.to_string()});
            runs.message(&recorded(&item), &mut events)
        };
        assert!((0..1000).all(|id| begin(id) == Then::Continue));
        assert_eq!(begin(1000), Then::End);
        assert_eq!(types(&mut events).pop().unwrap(), "RUN_ERROR");
    }
}
