//! What each message becomes, for all subscribers of a thread at once.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use bytes::Bytes;
use ltm_store::apart;
use ltm_types::{
    member::{MESSAGES, RUN, STATUS},
    parse_time,
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::sync::Mutex;

use super::{
    delta::{View, delta},
    event::{Encoded, OWNER, custom, event, recorded},
    message_list::{MessageList, added, read},
    open::{Effect, Open, Opened, effect},
    run_events::{Ending, Started},
    state::{Members, Status, object, quoted},
};
use crate::dialect::content::{self, Change, Content, Reset};

/// The reason of an entry that records an AG-UI event.
const RECORDED: &str = "agui";
/// A message up to this size is translated at once, in less than a millisecond.
const LARGE: usize = 64 * 1024;
/// The most bytes of messages and their translations that are kept. A large one counts as [`LARGEST`].
const MAX_KEPT: usize = 1 << 20;
/// What a small message takes beside its text: its place in the table, its buffers.
const ENTRY: usize = 512;
/// So that one large message is kept, and some others after it, while several subscribers wait for it.
const LARGEST: usize = MAX_KEPT / 4 * 3;

/// What a message becomes.
pub(super) enum Translation {
    Entry(Box<Entry>),
    State(Box<Whole>),
    /// Nothing but the state after it can tell.
    NeedsState,
    Live,
    /// The error that ends the run.
    Deleted(Ending),
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
    /// The recorded end of the run.
    pub end: Option<Ending>,
    /// The status after the entry, if it sets it.
    pub status: Option<Status>,
}

/// A recorded event.
pub(super) enum Item {
    /// The begin of a run.
    Started(Started),
    Event(Recorded),
}

/// A recorded event, and what it does to something that can be open.
pub(super) struct Recorded {
    pub event: Encoded,
    pub effect: Option<(Effect, Arc<Open>)>,
    /// The parent of the subagent that it starts, and the event without the parent: clients reject one that they do not know.
    pub parent: Option<(Box<str>, Encoded)>,
}

/// The events of a whole state.
pub(super) struct Whole {
    /// Whether the LTM was recorded from AG-UI events.
    pub recorded: bool,
    /// The end of the run, if it has ended.
    pub ending: Option<Ending>,
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
        let counted = (length + translation.bytes() + ENTRY).min(LARGEST);
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
            Content::Error(error) => Translation::entry(Entry {
                more: vec![custom(Some(&cursor), "error", error.get())],
                ..Entry::default()
            }),
            Content::Reset(reset) => self.whole(&cursor, &reset),
            Content::Deleted => {
                let message = "the LTM was deleted";
                Translation::Deleted(Ending::error(Some(&cursor), "deleted", message))
            }
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
        let step = more.is_empty().then(|| {
            let open = Open::of_event(Opened::Step, &step_name(change), None);
            (open.start(), open.end())
        });
        Translation::entry(Entry {
            step,
            more,
            delta: Some(state_delta(Some(cursor), change, &delta.patch, change.item)),
            status: delta.status,
            ..Entry::default()
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
        let status = Status::of(members.get(STATUS));
        Translation::State(Box::new(Whole {
            recorded: run.is_some(),
            ending: Ending::of_status(status, run.is_some(), run.as_ref()),
            snapshot: event(Some(cursor), &data),
            messages: members.at(pointer).and_then(|list| read(list.get())),
        }))
    }
}

impl Translation {
    fn entry(entry: Entry) -> Self {
        Self::Entry(Box::new(entry))
    }

    /// The bytes that it holds.
    fn bytes(&self) -> usize {
        match self {
            Self::Entry(entry) => entry.bytes(),
            Self::State(whole) => {
                let ending = whole.ending.as_ref().map_or(0, Ending::bytes);
                let messages = whole.messages.as_ref().map_or(0, MessageList::bytes);
                length(&whole.snapshot) + ending + messages
            }
            Self::Deleted(ending) => ending.bytes(),
            Self::NeedsState | Self::Live | Self::Nothing => 0,
        }
    }
}

impl Entry {
    /// The bytes that it holds.
    fn bytes(&self) -> usize {
        let step = self.step.as_ref();
        let item = match &self.item {
            None => 0,
            Some(Item::Started(started)) => started.bytes(),
            Some(Item::Event(it)) => {
                let parent = it.parent.as_ref();
                let parent = parent.map_or(0, |(id, event)| id.len() + length(event));
                let open = it.effect.as_ref().map_or(0, |(_, open)| open.bytes());
                length(&it.event) + open + parent
            }
        };
        let more = self.more.iter().chain(&self.delta).map(length);
        step.map_or(0, |(start, end)| start.len() + end.len())
            + item
            + more.sum::<usize>()
            + self.end.as_ref().map_or(0, Ending::bytes)
    }
}

fn length(event: &Encoded) -> usize {
    event.as_ref().map_or(0, Bytes::len)
}

/// An entry that records an AG-UI event.
fn recorded_event(cursor: &str, change: &Change<'_>) -> Translation {
    let item = change.item.map_or_else(Members::default, Members::of);
    let r#type: Cow<'_, str> = text(&item, "type").unwrap_or_default().into();
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
    // The end of a run comes after the patch.
    let is_end = matches!(&*r#type, "RUN_FINISHED" | "RUN_ERROR");
    let delta_cursor = (!is_end).then_some(cursor);
    let mut entry = Entry {
        delta: shows_patch.then(|| state_delta(delta_cursor, change, &delta.patch, None)),
        status: delta.status,
        ..Entry::default()
    };
    if is_end {
        entry.end = Some(Ending::of(cursor, r#type == "RUN_ERROR", &item));
    } else if r#type == "RUN_STARTED" {
        // Without a cursor: a client that resumes after it would lack the messages of the run.
        entry.item = Some(Item::Started(Started::of(&item)));
    } else if !is_patch {
        // A client that resumes after it would lack the patch.
        let cursor = (!shows_patch).then_some(cursor);
        entry.item = Some(Item::Event(Recorded::of(cursor, &r#type, &item)));
    }
    Translation::entry(entry)
}

impl Recorded {
    fn of(cursor: Option<&str>, r#type: &str, item: &Members<'_>) -> Self {
        const PARENT: &str = "parentSubagentRunId";
        let effect = effect(r#type).and_then(|(kind, effect, member)| {
            let owner = text(item, OWNER);
            let open = Open::of_event(kind, &text(item, member)?, owner.as_deref());
            Some((effect, Arc::new(open)))
        });
        let parent = text(item, PARENT).filter(|_| r#type == "SUBAGENT_STARTED");
        Self {
            event: recorded(cursor, r#type, item, ""),
            effect,
            parent: parent.map(|id| (id.into(), recorded(cursor, r#type, item, PARENT))),
        }
    }
}

/// The text of a member.
fn text(item: &Members<'_>, name: &str) -> Option<String> {
    serde_json::from_str(item.text(name)?).ok()
}

/// The event with a patch; with a cursor, the client can resume after it.
fn state_delta(
    cursor: Option<&str>,
    change: &Change<'_>,
    patch: &str,
    item: Option<&RawValue>,
) -> Encoded {
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
    let at = cursor.map(|cursor| format!(r#","cursor":"{cursor}""#));
    let own = [at, reason, item].map(Option::unwrap_or_default).concat();
    let data = format!(
        r#"{{"type":"STATE_DELTA","delta":{patch}{},"metadata":{{"ltm-live":{}}}}}"#,
        timestamp.unwrap_or_default(),
        object(&own)
    );
    event(cursor, &data)
}

/// The name of a step: the label or the class of its item, or else its reason.
fn step_name<'a>(change: &'a Change<'_>) -> Cow<'a, str> {
    /// The payload of an item may be large, so nothing else of it is read.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Names<'a> {
        #[serde(borrow)]
        label: Option<&'a RawValue>,
        #[serde(borrow)]
        fqn: Option<&'a RawValue>,
    }
    let item = change.item.map_or("", RawValue::get);
    // serde would read an array as the members in their order.
    let item = if item.starts_with('{') { item } else { "{}" };
    let Names { label, fqn } = serde_json::from_str(item).unwrap_or_default();
    let text = |name: &RawValue| serde_json::from_str(name.get()).ok();
    let name: Option<String> = label.and_then(text).or_else(|| fqn.and_then(text));
    let name = name
        .map(Cow::Owned)
        .or(change.reason.as_deref().map(Cow::Borrowed));
    name.unwrap_or("step".into())
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
            let translation = translations.of(vec![text.into()], true);
            let Translation::Entry(entry) = &*translation else {
                panic!("it is an entry");
            };
            let Some(Item::Event(item)) = &entry.item else {
                panic!("it is an event");
            };
            let has_cursor = |event: &Encoded| event.as_ref().unwrap().starts_with(b"id: 1-2\n");
            (
                has_cursor(&item.event),
                entry.delta.as_ref().map(has_cursor),
            )
        };
        assert_eq!(entry("[]"), (true, None));
        let patch = r#"[{"op":"add","path":"/n","value":1}]"#;
        assert_eq!(entry(patch), (false, Some(true)));
    }

    #[test]
    fn the_name_of_a_step_is_read_without_its_payload() {
        let name = |item: &str| {
            let text = format!(r#"{{"reason":"execute","patch":[],"item":{item}}}"#);
            let change: Change<'_> = serde_json::from_str(&text).unwrap();
            step_name(&change).into_owned()
        };
        assert_eq!(
            name(r#"{"payload":[{"label":"x"}],"label":"a\n","fqn":"b"}"#),
            "a\n"
        );
        assert_eq!(name(r#"{"label":null,"fqn":"b"}"#), "b");
        assert_eq!(name(r#"{"label":7,"fqn":"b"}"#), "b");
        for other in ["null", "{}", r#"["a"]"#, r#""a""#] {
            assert_eq!(name(other), "execute", "{other}");
        }
    }

    #[test]
    fn what_translations_hold_is_counted() {
        let translations = Translations::new("/_messages");
        for n in 0..10_000 {
            let messages = r#"{"role":"user","content":""}"#;
            let text = format!(
                r#"{{"id":7,"cursor":"{n}-2","reset":{{"reason":"requested","state":{{"_messages":[{messages}]}}}}}}"#
            );
            translations.of(vec![text.into()], false);
        }
        let known = translations.known.borrow();
        let held = known
            .all
            .values()
            .map(|(text, translation)| text[0].len() + translation.bytes() + size_of::<Whole>());
        assert!(held.sum::<usize>() / 2 <= MAX_KEPT);
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
