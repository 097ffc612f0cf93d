//! Checks that must hold for any input: one function for each parser of untrusted input. A function panics if its check
//! fails.
//!
//! The fuzz targets call these functions with the inputs of the fuzzer, and `tests/it/hostile/fuzz_corpus.rs` with
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
use ltm_gateway::FollowRequest;
use ltm_service::{Parameters, Program, read_settings};
use ltm_state::{State, patch::Limits};
use ltm_types::{Cursor, Entry, Kind, LtmId, LtmKey, LtmRef, entry_message, keys};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Cursors and ids have one spelling. Live messages are read, or rejected.
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
    let (fqn, key) = text.split_once('/').unwrap_or(("app.Agent", text));
    if let Ok(key) = LtmKey::from_segments(fqn, key) {
        let path = key.to_segments();
        let (fqn, segment) = path.split_once('/').unwrap();
        assert_eq!(LtmKey::from_segments(fqn, segment), Ok(key.clone()));
        assert_eq!(keys::key_of(&keys::keyed(&key)), Some(key));
    }
    if let Some((entry, appended)) = Entry::from_live(&ByteString::from(text)) {
        let again = Entry::from_live(&entry.to_live(appended).into());
        assert_eq!(again, Some((entry, appended)));
    }
}

/// Both services read a query string, or reject it. The id is before the first `?`, the query after it.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (ltm, query) = text.split_once('?').unwrap_or(("1", text));
    let ltm = ltm.parse().unwrap_or(LtmRef::Id(LtmId::new(1).unwrap()));
    if let Err(refused) = FollowRequest::read(ltm, query) {
        assert!(matches!(refused.status, 400 | 422), "{refused:?}");
        assert!(refused.field.is_some(), "{refused:?}");
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

/// Limits that a fuzzer can reach.
fn limits() -> Limits {
    Limits {
        max_bytes: 64 * 1024,
        max_depth: 64,
        max_operations: 64,
        ..Limits::UNLIMITED
    }
}

/// The body of a write changes a state as a second implementation does, or it is rejected and changes nothing. The
/// first line is the state before the write, the rest is the body.
pub fn write(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (first, body) = data.split_at(end.unwrap_or(0));
    let mut state = State::default();
    let create = [br#"{"reason":"start","state":"#, first, b"}"].concat();
    if snapshot_of(&create, &mut state, &limits()).is_err() {
        assert_eq!(state.text(), "{}");
    }
    let before = state.clone();
    match snapshot_of(body, &mut state, &limits()) {
        Ok(entry) => check_accepted(before, &state, &entry, body),
        Err(refused) => {
            assert_eq!(state.tree, before.tree, "{refused}");
            assert_eq!(state.cursor, before.cursor);
            assert!(matches!(refused.0.status, 400..=499), "{refused}");
            check_rejected(&before, body, refused.0.operation);
        }
    }
}

/// Checks an accepted body: the state is right, the entry can be folded, and the checkpoint can be read.
fn check_accepted(before: State, after: &State, entry: &Entry, body: &[u8]) {
    let expected = second_opinion(before.tree.value(), body).expect("the body applies");
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

/// Checks a rejected operation: the operations before it apply in the second implementation, too. If it is a `remove`,
/// it fails there, too.
fn check_rejected(before: &State, body: &[u8], operation: Option<usize>) {
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
    // The second implementation compares numbers less exactly, and has no limits of size and depth.
    if failed["op"] == "remove" {
        let failed = Value::Array(vec![failed.clone()]);
        ltm_tests::apply(&mut document, &failed).expect_err("the operation applies there");
    }
}

/// The state after a body, by implementations that are not part of the services.
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

/// Checks that the checkpoint of a state contains the same state, digit by digit.
fn can_be_read_back(state: &State) {
    let Some(checkpoint) = state.checkpoint() else {
        return;
    };
    assert_eq!(
        &json(checkpoint.state.as_bytes()).unwrap(),
        state.tree.value()
    );
    let index: ltm_state::HistoryIndex = serde_json::from_str(&checkpoint.index).unwrap();
    assert_eq!(index, state.index);
}

fn json(text: &[u8]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.disable_recursion_limit();
    Value::deserialize(&mut deserializer)
}

/// Settings can be read, printed and read again, or they are rejected with a reason. The lines before the first empty
/// line are variables (`API__MAX_BODY=1MiB`), the rest is a file.
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
                read_settings(&printed, HashMap::new()).expect("printed settings can be read");
            assert_eq!(toml::to_string(&again).unwrap(), printed);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A log of any entries can be folded, or is rejected. Each entry gives a message that can be read, or none. Each line
/// is an entry: its kind, a space, its payload.
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
            let message = entry_message(id, position, &entry);
            if !message.text.is_empty() {
                let members: HashMap<String, &serde_json::value::RawValue> =
                    serde_json::from_str(&message.text).expect("a message is a JSON object");
                assert_eq!(members["id"].get(), "1");
                assert!(members.contains_key("cursor"));
            }
        }
        if let Some(mut next) = state.take()
            && next.fold(&entry).is_ok()
        {
            can_be_read_back(&next);
            check_histories(&next);
            state = Some(next);
        }
        position = entry.cursor;
    }
}

/// Checks that every history of a log consists of entries of the log.
fn check_histories(state: &State) {
    let index = &state.index;
    assert_eq!(index.head(), state.cursor.seq);
    let rollbacks = index.rollbacks().map(|(rollback, _)| rollback);
    let before = rollbacks.map(|rollback| index.branch_before(rollback).unwrap());
    for branch in before.chain([index.branch()]) {
        for range in &branch.ranges {
            assert!(range.len > 0 && range.seq + range.len - 1 <= index.head());
            assert_eq!(branch.seq_of(range.index), Some(range.seq));
        }
        assert!(branch.count() <= index.head());
    }
    let mut trimmed = index.clone();
    trimmed.trim(index.head() / 2);
    assert_eq!(trimmed.count(), index.count());
    let _ = (
        trimmed.branch(),
        trimmed.errors(),
        trimmed.rollbacks_count(),
    );
}
