//! What each message becomes, for all subscribers of a thread at once.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use bytes::Bytes;
use ltm_store::apart;
use ltm_types::{
    member::{MESSAGES, RUN, STATUS},
    parse_time,
};
use serde_json::{Map, Value, json, value::RawValue};
use tokio::sync::Mutex;

use super::{
    delta::{View, delta},
    event::{Encoded, custom, event, recorded, small},
    message_list::{MessageList, added, read},
    open::{Effect, Opened, effect},
    state::{Members, Status, quoted},
};
use crate::dialect::content::{self, Change, Content, Reset};

/// The reason of an entry that records an AG-UI event.
const RECORDED: &str = "agui";
/// A message up to this size is translated at once, in less than a millisecond.
const LARGE: usize = 64 * 1024;
/// The most bytes of messages whose translations are kept. A large one counts as [`LARGEST`].
const MAX_KEPT: usize = 1 << 20;
/// So that one large message is kept, and some others after it, while several subscribers wait for it.
const LARGEST: usize = MAX_KEPT / 4 * 3;

/// What a message becomes.
pub(super) enum Translation {
    Entry(Entry),
    State(Whole),
    /// Nothing but the state after it can tell.
    NeedsState,
    Live,
    Deleted,
    Nothing,
}

/// The events of an entry, in this order.
#[derive(Default)]
pub(super) struct Entry {
    /// The events before and after those of a step.
    pub step: Option<(Bytes, Bytes)>,
    /// The recorded event.
    pub item: Option<Item>,
    /// Events without a cursor.
    pub more: Vec<Encoded>,
    /// The event with the patch.
    pub delta: Option<Encoded>,
    /// The status after the entry, if it sets it.
    pub status: Option<Status>,
}

/// A recorded event.
pub(super) enum Item {
    /// The begin or the end of a run.
    Run(Map<String, Value>),
    /// An event, and what it does to something that can be open.
    Event(Encoded, Option<(Opened, Effect, String)>),
}

/// The events of a whole state.
pub(super) struct Whole {
    /// Whether the LTM was recorded from AG-UI events.
    pub recorded: bool,
    pub status: Status,
    /// The outcome of the run that has ended, if it was recorded.
    pub outcome: Option<Value>,
    /// The error of the run that has ended, if it was recorded.
    pub error: Option<Value>,
    pub snapshot: Encoded,
    /// The messages, if the state has some.
    pub messages: Option<MessageList>,
}

/// The translations of the latest messages. All subscribers of an LTM get the same bytes, so they share these.
pub(crate) struct Translations {
    translator: Arc<Translator>,
    known: RefCell<Known>,
    /// Held while a large message is translated on another thread.
    large: Mutex<()>,
}

struct Translator {
    /// Where a plain LTM has its messages: a JSON Pointer.
    messages: String,
}

/// Where a text is in memory, its length, and whether the LTM was recorded. The text is kept, so its place is not used
/// again.
type Key = (usize, usize, bool);

#[derive(Default)]
struct Known {
    all: HashMap<Key, (Vec<Bytes>, Rc<Translation>)>,
    bytes: usize,
}

impl Translations {
    /// No translations yet. Plain LTMs have their messages at this JSON Pointer.
    pub(crate) fn new(messages: &str) -> Rc<Self> {
        let messages = messages.into();
        Rc::new(Self {
            translator: Arc::new(Translator { messages }),
            known: RefCell::default(),
            large: Mutex::default(),
        })
    }

    /// Translates a message, for a call of [`Translations::of`] soon after: on another thread if it is large. Subscribers
    /// that want the same one wait for it.
    pub(super) async fn prepare(&self, text: &[Bytes], is_recorded: bool) {
        if self.is_prepared(text, is_recorded) {
            return;
        }
        let _turn = self.large.lock().await;
        if self.is_prepared(text, is_recorded) {
            return;
        }
        let (_, length) = key(text, is_recorded);
        let (translator, text) = (self.translator.clone(), text.to_vec());
        let (text, translation) = apart(length, move || {
            let translation = translator.translate_parts(&text, is_recorded);
            (text, translation)
        })
        .await;
        self.keep(text, is_recorded, translation);
    }

    /// Whether a call of [`Translations::of`] takes little time.
    pub(super) fn is_prepared(&self, text: &[Bytes], is_recorded: bool) -> bool {
        let (key, length) = key(text, is_recorded);
        length <= LARGE || self.known.borrow().all.contains_key(&key)
    }

    /// What a message becomes.
    pub(super) fn of(&self, text: Vec<Bytes>, is_recorded: bool) -> Rc<Translation> {
        let (key, _) = key(&text, is_recorded);
        if let Some((_, translation)) = self.known.borrow().all.get(&key) {
            return translation.clone();
        }
        let translation = self.translator.translate_parts(&text, is_recorded);
        self.keep(text, is_recorded, translation)
    }

    fn keep(
        &self,
        text: Vec<Bytes>,
        is_recorded: bool,
        translation: Translation,
    ) -> Rc<Translation> {
        let (key, length) = key(&text, is_recorded);
        let mut known = self.known.borrow_mut();
        let counted = length.min(LARGEST);
        known.bytes += counted;
        if known.bytes > MAX_KEPT {
            known.all.clear();
            known.bytes = counted;
        }
        let translation = Rc::new(translation);
        // A whole state says itself whether the LTM was recorded.
        if let Translation::State(_) = *translation {
            let (place, length, is_recorded) = key;
            let other = (place, length, !is_recorded);
            known.all.insert(other, (text.clone(), translation.clone()));
        }
        known.all.insert(key, (text, translation.clone()));
        translation
    }
}

/// The key of a text, and its length.
fn key(text: &[Bytes], is_recorded: bool) -> (Key, usize) {
    let length = text.iter().map(Bytes::len).sum();
    let place = text.first().map_or(0, |part| part.as_ptr().addr());
    ((place, length, is_recorded), length)
}

impl Translator {
    fn translate_parts(&self, text: &[Bytes], is_recorded: bool) -> Translation {
        match text {
            [part] => self.translate(part, is_recorded),
            parts => self.translate(&parts.concat(), is_recorded),
        }
    }

    fn translate(&self, text: &[u8], is_recorded: bool) -> Translation {
        let Some((cursor, content)) = content::read(text) else {
            return Translation::Nothing;
        };
        match content {
            Content::Snapshot(change)
                if is_recorded && change.reason.as_deref() == Some(RECORDED) =>
            {
                recorded_event(&cursor, &change)
            }
            Content::Snapshot(change) => self.step(&cursor, &change, is_recorded, Vec::new()),
            Content::Rollback(index, change) => {
                let value = json!({"snapshot_index": index, "reason": change.reason});
                let rollback = custom(None, "rollback", &value.to_string());
                self.step(&cursor, &change, is_recorded, vec![rollback])
            }
            Content::Error(error) => Translation::Entry(Entry {
                more: vec![custom(Some(&cursor), "error", error.get())],
                ..Entry::default()
            }),
            Content::Reset(reset) => self.whole(&cursor, &reset),
            Content::Deleted => Translation::Deleted,
            Content::Live => Translation::Live,
        }
    }

    /// An entry of an engine.
    fn step(
        &self,
        cursor: &str,
        change: &Change<'_>,
        is_recorded: bool,
        mut more: Vec<Encoded>,
    ) -> Translation {
        let view = View {
            recorded: is_recorded,
            has_event: false,
            messages: &self.messages,
        };
        let Some(delta) = delta(change.patch, view) else {
            return Translation::NeedsState;
        };
        for message in &delta.added {
            match added(message.get()) {
                Some(events) => more.push(Ok(events)),
                None => return Translation::NeedsState,
            }
        }
        let names = json!({"type": "STEP_STARTED", "stepName": step_name(change)});
        let ended = json!({"type": "STEP_FINISHED", "stepName": step_name(change)});
        Translation::Entry(Entry {
            step: more.is_empty().then(|| (small(&names), small(&ended))),
            item: None,
            more,
            delta: Some(state_delta(cursor, change, &delta.patch, change.item)),
            status: delta.status,
        })
    }

    fn whole(&self, cursor: &str, reset: &Reset<'_>) -> Translation {
        let members = Members::of(reset.state);
        let run = members.get(RUN).map(Members::of);
        let state = match &run {
            Some(_) => members.without_recording(),
            None => reset.state.get().to_owned(),
        };
        let data = format!(
            r#"{{"type":"STATE_SNAPSHOT","snapshot":{state},"metadata":{{"ltm-live":{{"cursor":"{cursor}","reason":{}}}}}}}"#,
            quoted(&reset.reason)
        );
        let pointer = format!("/{MESSAGES}");
        let pointer = if run.is_some() {
            &pointer
        } else {
            &self.messages
        };
        let of_run = |name: &str| serde_json::from_str(run.as_ref()?.get(name)?.get()).ok();
        Translation::State(Whole {
            recorded: run.is_some(),
            status: members
                .get(STATUS)
                .and_then(|it| serde_json::from_str(it.get()).ok()),
            outcome: of_run("outcome"),
            error: of_run("error"),
            snapshot: event(Some(cursor), &data),
            messages: members.at(pointer).and_then(|list| read(list.get())),
        })
    }
}

/// An entry that records an AG-UI event.
fn recorded_event(cursor: &str, change: &Change<'_>) -> Translation {
    let item = change
        .item
        .and_then(|item| serde_json::from_str(item.get()).ok());
    let item: Map<String, Value> = item.unwrap_or_default();
    let r#type = item
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    // What these do to the state and the messages is in the patch.
    let is_patch = matches!(
        &*r#type,
        "STATE_SNAPSHOT" | "STATE_DELTA" | "MESSAGES_SNAPSHOT" | ""
    );
    let view = View {
        recorded: true,
        has_event: !is_patch,
        messages: "",
    };
    let Some(delta) = delta(change.patch, view) else {
        return Translation::NeedsState;
    };
    let shows_patch = !delta.is_hidden && (is_patch || delta.patch != "[]");
    let item = match &*r#type {
        _ if is_patch => None,
        "RUN_STARTED" | "RUN_FINISHED" | "RUN_ERROR" => Some(Item::Run(item)),
        _ => {
            let effect = effect(&r#type).and_then(|(kind, effect, member)| {
                let id = item.get(member)?.as_str()?.to_owned();
                Some((kind, effect, id))
            });
            // A client that resumes after it would lack the patch.
            let cursor = (!shows_patch).then_some(cursor);
            Some(Item::Event(recorded(cursor, item), effect))
        }
    };
    Translation::Entry(Entry {
        item,
        delta: shows_patch.then(|| state_delta(cursor, change, &delta.patch, None)),
        status: delta.status,
        ..Entry::default()
    })
}

fn state_delta(cursor: &str, change: &Change<'_>, patch: &str, item: Option<&RawValue>) -> Encoded {
    let time = change
        .time
        .as_deref()
        .and_then(|time| parse_time(time).ok());
    let timestamp = time.map(|time| format!(r#","timestamp":{}"#, time.as_millisecond()));
    let reason = change
        .reason
        .as_deref()
        .map(|reason| format!(r#","reason":{}"#, quoted(reason)));
    let item = item.map(|item| format!(r#","item":{}"#, item.get()));
    let data = format!(
        r#"{{"type":"STATE_DELTA","delta":{patch}{},"metadata":{{"ltm-live":{{"cursor":"{cursor}"{}{}}}}}}}"#,
        timestamp.unwrap_or_default(),
        reason.unwrap_or_default(),
        item.unwrap_or_default()
    );
    event(Some(cursor), &data)
}

/// The name of a step: the label or the class of its item, or else its reason.
fn step_name(change: &Change<'_>) -> String {
    let item: Option<Value> = change
        .item
        .and_then(|item| serde_json::from_str(item.get()).ok());
    let text = |name: &str| item.as_ref()?.get(name)?.as_str();
    let name = text("label")
        .or_else(|| text("fqn"))
        .or(change.reason.as_deref());
    name.unwrap_or("step").to_owned()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_client_resumes_after_the_last_event_of_an_entry() {
        let entry = |patch: &str| {
            let text = format!(
                r#"{{"id":7,"cursor":"1-2","snapshot":{{"time":"2026-01-01T00:00:00Z","reason":"agui","item":{{"type":"CUSTOM","name":"n","value":1}},"patch":{patch}}}}}"#
            );
            let translations = Translations::new("/_messages");
            match &*translations.of(vec![text.into()], true) {
                Translation::Entry(Entry {
                    item: Some(Item::Event(event, _)),
                    delta,
                    ..
                }) => {
                    let has_cursor =
                        |event: &Encoded| event.as_ref().unwrap().starts_with(b"id: 1-2\n");
                    (has_cursor(event), delta.as_ref().map(has_cursor))
                }
                _ => panic!("it is an event"),
            }
        };
        assert_eq!(entry("[]"), (true, None));
        let patch = r#"[{"op":"add","path":"/n","value":1}]"#;
        assert_eq!(entry(patch), (false, Some(true)));
    }

    #[tokio::test]
    async fn a_large_state_is_translated_once_and_on_another_thread() {
        let translations = Translations::new("/_messages");
        let text = format!(
            r#"{{"id":7,"cursor":"1-2","reset":{{"reason":"requested","state":{{"a":"{}"}}}}}}"#,
            "x".repeat(100_000)
        );
        let text = vec![Bytes::from(text)];
        let mut first = Box::pin(translations.prepare(&text, false));
        let mut second = Box::pin(translations.prepare(&text, true));
        assert!(
            first.as_mut().now_or_never().is_none(),
            "this thread goes on"
        );
        assert!(
            second.as_mut().now_or_never().is_none(),
            "it waits for the first"
        );
        assert!(!translations.is_prepared(&text, false));
        tokio::join!(first, second);
        assert!(translations.is_prepared(&text, false));
        // A small message after it does not drop it.
        translations.of(vec![Bytes::from_static(b"{}")], false);
        assert_eq!(translations.known.borrow().all.len(), 3);
        let (one, other) = (
            translations.of(text.clone(), false),
            translations.of(text, true),
        );
        assert!(Rc::ptr_eq(&one, &other));
        assert!(matches!(&*one, Translation::State(_)));
    }
}
