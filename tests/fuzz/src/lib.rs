//! What must hold for any input, one function for each place where foreign input is read. Each
//! panics where it does not.
//!
//! The fuzz targets call these with what the fuzzer comes up with, and `tests/tests/fuzz_corpus.rs` with
//! the inputs in `corpus`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

use std::collections::HashMap;

use bytestring::ByteString;
use ltm_api::snapshot_of;
use ltm_gateway::Wish;
use ltm_service::{Parameters, Program, read_settings};
use ltm_state::{State, patch::Limits};
use ltm_types::{Cursor, Entry, Kind, LtmId, entry_frame};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Cursors and ids have one spelling, and live messages are read or refused.
pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert!(cursor.to_string() == text || text == "0", "{text:?}");
        let json = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
    }
    if let Ok(id) = text.parse::<LtmId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Some((entry, appended)) = Entry::from_live(&ByteString::from(text)) {
        let again = Entry::from_live(&entry.to_live(appended).into());
        assert_eq!(again, Some((entry, appended)));
    }
}

/// A query string is read or refused, by both services: the id before the first `?`, the query after it.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (id, query) = text.split_once('?').unwrap_or(("1", text));
    if let Err(refused) = Wish::read(id, query) {
        assert!(matches!(refused.0.status, 400 | 422), "{refused}");
        assert!(refused.0.field.is_some(), "{refused}");
    }
    let Ok(parameters) = Parameters::read(query) else {
        return;
    };
    for name in ["rollbacks", "playground"] {
        if let Err(refused) = parameters.flag(name) {
            assert_eq!(refused.0.field.as_deref(), Some(name));
        }
    }
    for name in ["from", "limit", "index"] {
        match parameters.number(name, 1, 1000) {
            Ok(number) => assert!(number.is_none_or(|number| (1..=1000).contains(&number))),
            Err(refused) => assert_eq!(refused.0.field.as_deref(), Some(name)),
        }
    }
    let _ = parameters.text("fqn");
}

/// Limits that a fuzzer reaches.
fn limits() -> Limits {
    Limits {
        max_bytes: 64 * 1024,
        max_depth: 64,
        max_operations: 64,
    }
}

/// The body of a write makes of a state what a second implementation makes of it, or is refused and
/// changes nothing. The first line is the state before, the rest the body.
pub fn write(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (first, body) = data.split_at(end.unwrap_or(0));
    let mut state = State::default();
    let begin = [br#"{"reason":"start","state":"#, first, b"}"].concat();
    if snapshot_of(&begin, &mut state, &limits()).is_err() {
        assert_eq!(state.text(), "{}");
    }
    let before = state.clone();
    match snapshot_of(body, &mut state, &limits()) {
        Ok(entry) => taken(before, &state, &entry, body),
        Err(refused) => {
            assert_eq!(state.tree, before.tree, "{refused}");
            assert_eq!(state.cursor, before.cursor);
            assert!(matches!(refused.0.status, 400..=499), "{refused}");
            rightly_refused(&before, body, refused.0.operation);
        }
    }
}

/// What was taken is what the body says, can be read from the log, and be stored and read again.
fn taken(before: State, after: &State, entry: &Entry, body: &[u8]) {
    let expected = second_opinion(before.tree.value(), body).expect("it applies");
    assert_eq!(after.tree.value(), &expected);
    assert_eq!(
        after.tree.bytes(),
        ltm_state::patch::Tree::new(expected).bytes()
    );
    assert!(after.tree.bytes() <= limits().max_bytes.max(before.tree.bytes()) + 1024);
    let mut folded = before;
    folded.fold(entry).unwrap();
    assert_eq!(folded.tree, after.tree);
    can_be_read_back(&folded);
}

/// Where an operation failed, it fails in the second implementation, too, and those before it do not.
fn rightly_refused(before: &State, body: &[u8], operation: Option<usize>) {
    let (Some(operation), Ok(body)) = (operation, json(body)) else {
        return;
    };
    let Some(patch) = body["patch"].as_array() else {
        return;
    };
    let Some((failed, applied)) = patch.get(..=operation).and_then(|part| part.split_last()) else {
        return;
    };
    let mut document = before.tree.value().clone();
    let applied: Vec<Value> = applied
        .iter()
        .filter(|op| op["op"] != "test")
        .cloned()
        .collect();
    ltm_tests::apply(&mut document, &applied.into()).expect("only the last one fails");
    // Numbers are compared more exactly by the services, and size and depth by nobody else.
    if matches!(failed["op"].as_str(), Some("remove")) {
        let failed = Value::Array(vec![failed.clone()]);
        ltm_tests::apply(&mut document, &failed).expect_err("it applies");
    }
}

/// What a body makes of a state, by implementations that are not the services' own.
fn second_opinion(before: &Value, body: &[u8]) -> Result<Value, String> {
    let body = json(body).map_err(|e| e.to_string())?;
    let mut after = before.clone();
    if let Some(patch) = body.get("patch").filter(|patch| !patch.is_null()) {
        let changes = patch.as_array().ok_or("no array")?.iter();
        let changes: Vec<Value> = changes.filter(|op| op["op"] != "test").cloned().collect();
        ltm_tests::apply(&mut after, &changes.into())?;
    } else if let Some(merge) = body.get("merge").filter(|merge| !merge.is_null()) {
        merge_into(&mut after, merge);
    } else {
        after = body["state"].clone();
    }
    Ok(after)
}

/// RFC 7396, section 2, word for word.
fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let members = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            members.remove(key);
        } else {
            merge_into(members.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// A state leads to a checkpoint that says the same, digit by digit.
fn can_be_read_back(state: &State) {
    let Some(checkpoint) = state.checkpoint() else {
        return;
    };
    assert_eq!(
        &json(checkpoint.state.as_bytes()).unwrap(),
        state.tree.value()
    );
    let outline: ltm_state::HistoryIndex = serde_json::from_str(&checkpoint.index).unwrap();
    assert_eq!(outline, state.index);
}

fn json(text: &[u8]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.disable_recursion_limit();
    Value::deserialize(&mut deserializer)
}

/// Settings are read and can be printed and read again, or refused with a reason. The lines before
/// the first empty one are variables (`API__MAX_BODY=1MiB`), the rest is a file.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (variables, file) = text.split_once("\n\n").unwrap_or(("", text));
    let given: HashMap<String, String> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("LTM__{name}"), value.to_owned()))
        .collect();
    read_and_print::<ltm_api::Settings>(file, &given);
    read_and_print::<ltm_gateway::Settings>(file, &given);
}

fn read_and_print<P: Program>(file: &str, given: &HashMap<String, String>) {
    match read_settings::<P>(file, given.clone()) {
        Ok(settings) => {
            let printed = toml::to_string(&settings).expect("it can be printed");
            let again: P =
                read_settings(&printed, HashMap::new()).expect("what is printed is right");
            assert_eq!(toml::to_string(&again).unwrap(), printed);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A log of any entries is folded or refused, and every entry is a message that can be read, or none.
/// Each line is an entry: its kind, a blank, its payload.
pub fn entries(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let id = LtmId::new(1).unwrap();
    let (mut position, mut state) = (Cursor::ORIGIN, Some(State::default()));
    for line in text.lines() {
        let (kind, payload) = line.split_once(' ').unwrap_or((line, ""));
        let entry = Entry::after(position, Kind::from_name(kind), payload.into());
        if entry.content().is_ok() {
            let frame = entry_frame(id, position, &entry);
            if !frame.text.is_empty() {
                let message: HashMap<String, &serde_json::value::RawValue> =
                    serde_json::from_str(&frame.text).expect("a message is a JSON object");
                assert_eq!(message["id"].get(), "1");
                assert!(message.contains_key("cursor"));
            }
        }
        if let Some(mut next) = state.take()
            && next.fold(&entry).is_ok()
        {
            can_be_read_back(&next);
            look_around(&next);
            state = Some(next);
        }
        position = entry.cursor;
    }
}

/// Every history that a log had is made of places in it.
fn look_around(state: &State) {
    let outline = &state.index;
    assert_eq!(outline.head(), state.cursor.seq);
    let rollbacks = outline.rollbacks().map(|(index, _)| index);
    let before = rollbacks.map(|index| outline.branch_before(index).unwrap());
    for branch in before.chain([outline.branch()]) {
        for range in &branch.ranges {
            assert!(range.len > 0 && range.seq + range.len - 1 <= outline.head());
            assert_eq!(branch.seq_of(range.index), Some(range.seq));
        }
        assert!(branch.count() <= outline.head());
    }
    let mut trimmed = outline.clone();
    trimmed.trim(outline.head() / 2);
    assert_eq!(trimmed.count(), outline.count());
    let _ = (
        trimmed.branch(),
        trimmed.errors(),
        trimmed.rollbacks_count(),
    );
}
