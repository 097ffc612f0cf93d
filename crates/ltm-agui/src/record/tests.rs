//! The recorder against a model of the reducer of `@ag-ui/client` 1.0.0 (`defaultApplyEvents`).

#![allow(clippy::unwrap_used)]

mod client;
mod stream;

use ltm_state::patch::{self, Limits};
use ltm_types::member::MESSAGES;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use self::{client::Client, stream::stream};
use super::{End, Event, KEPT, Options, Record, Recorder, Run, join};

const OPTIONS: Options = Options {
    raw: false,
    limits: Limits::of_state(16 * 1024 * 1024, 256, 10_000),
};

fn event(value: &Value) -> Event {
    Event::read(&value.to_string()).unwrap()
}

fn started() -> (Recorder, Vec<Record>) {
    let mut recorder = Recorder::new(Map::new(), OPTIONS);
    let records = recorder.start(run("r"), &Map::new());
    (recorder, records)
}

fn run(id: &str) -> Run {
    Run {
        thread: "t".into(),
        run: id.into(),
        lease: Some(30),
    }
}

/// The state after these records.
fn fold(mut state: Value, records: &[Record]) -> Value {
    for record in records {
        let patch = serde_json::to_string(&record.patch).unwrap();
        patch::replay(&mut state, &patch).unwrap();
    }
    state
}

fn record_all(recorder: &mut Recorder, events: &[Value]) -> Vec<Record> {
    let record = |value| recorder.record(event(value)).unwrap();
    events.iter().flat_map(record).collect()
}

/// A state without the members of the recording.
fn own(state: &Value) -> Value {
    let mut state = state.clone();
    for name in KEPT {
        state.as_object_mut().unwrap().remove(name);
    }
    state
}

proptest! {
    /// The state has what a page that read the agent itself would have, and so does a page that reads the items.
    #[test]
    fn a_recorded_run_has_the_messages_and_the_state_that_a_client_of_the_agent_has(
        choices in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..60),
        pieces in any::<bool>(),
    ) {
        let events = stream(&choices);
        let mut direct = Client::default();
        let (mut recorder, mut records) = started();
        let mut joined = Vec::new();
        for value in &events {
            direct.apply(value);
            if pieces {
                join(&mut joined, event(value));
            } else {
                records.extend(recorder.record(event(value)).unwrap());
            }
        }
        for event in joined {
            records.extend(recorder.record(event).unwrap());
        }
        let state = fold(json!({}), &records);
        prop_assert_eq!(own(&state), own(&direct.state));
        prop_assert_eq!(client::plain(&state[MESSAGES]), client::plain(&direct.messages()));

        let mut replay = Client::default();
        let mut at = json!({});
        for record in &records {
            at = fold(at, std::slice::from_ref(record));
            replay.apply_recorded(&record.item, &at);
        }
        prop_assert_eq!(client::plain(&replay.messages()), client::plain(&direct.messages()));
        prop_assert_eq!(&own(&replay.state), &own(&direct.state));
    }

    /// A recorder that begins with the state of the LTM, after any entry, continues as the first one would have.
    #[test]
    fn another_recorder_can_continue_after_any_event(
        choices in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let events = stream(&choices);
        let (mut recorder, begun) = started();
        let cut = cut.index(events.len() + 1);
        let mut state = fold(json!({}), &begun);
        state = fold(state, &record_all(&mut recorder, &events[..cut]));
        let mut other = Recorder::new(state.as_object().unwrap().clone(), OPTIONS);
        prop_assert_eq!(other.is_running(), recorder.is_running());
        let end = End::Failed { code: "upstream-cut", message: "gone".into() };
        let ended = fold(state, &other.end(&end));
        let (texts, calls) = super::messages::Messages(ended[MESSAGES].as_array().unwrap()).unfinished();
        prop_assert!(texts.is_empty() && calls.is_empty(), "{ended}");
    }
}

#[test]
fn a_text_is_pieces_while_it_grows_and_one_text_at_its_end() {
    let (mut recorder, begun) = started();
    let start = json!({"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"});
    let piece = |text| json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": text});
    let growing = record_all(&mut recorder, &[start, piece("Har"), piece("bours")]);
    let state = fold(fold(json!({}), &begun), &growing);
    assert_eq!(
        state[MESSAGES][0]["content"],
        json!({"chunks": ["Har", "bours"]})
    );
    let end = json!({"type": "TEXT_MESSAGE_END", "messageId": "m"});
    let ended = record_all(&mut recorder, &[end]);
    let state = fold(state, &ended);
    assert_eq!(
        state[MESSAGES],
        json!([{"id": "m", "role": "assistant", "content": "Harbours"}])
    );
}

#[test]
fn a_run_that_does_not_end_what_it_began_is_ended_by_the_recorder() {
    let (mut recorder, _) = started();
    let events = [
        json!({"type": "STEP_STARTED", "stepName": "plan"}),
        json!({"type": "TEXT_MESSAGE_START", "messageId": "m"}),
        json!({"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "f", "parentMessageId": "m"}),
        json!({"type": "RUN_FINISHED", "threadId": "other", "runId": "other", "outcome": {"type": "interrupt", "interrupts": []}}),
    ];
    let records = record_all(&mut recorder, &events);
    let kinds: Vec<&str> = records
        .iter()
        .map(|it| it.item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[3..],
        [
            "TEXT_MESSAGE_END",
            "TOOL_CALL_END",
            "STEP_FINISHED",
            "RUN_FINISHED"
        ]
    );
    let last = records.last().unwrap();
    assert_eq!(
        (&last.item["threadId"], &last.item["runId"]),
        (&json!("t"), &json!("r"))
    );
    let outcome = json!({"type": "interrupt", "interrupts": []});
    assert_eq!(
        json!(last.patch),
        json!([
            {"op": "add", "path": "/_status", "value": "interrupted"},
            {"op": "add", "path": "/_run/outcome", "value": outcome},
        ])
    );
    assert!(
        recorder.record(event(&events[0])).is_err(),
        "the run is over"
    );
}

#[test]
fn the_state_says_how_the_last_run_ended_unless_that_is_large() {
    let large = json!({"text": "x".repeat(70_000)});
    for (end, said) in [
        (
            json!({"type": "RUN_FINISHED", "result": {"n": 1}}),
            json!({"result": {"n": 1}}),
        ),
        (
            json!({"type": "RUN_FINISHED", "result": large, "outcome": {"type": "success"}}),
            json!({"outcome": {"type": "success"}}),
        ),
        (
            json!({"type": "RUN_ERROR", "message": "no", "code": "c"}),
            json!({"error": {"message": "no", "code": "c"}}),
        ),
    ] {
        let (mut recorder, begun) = started();
        let state = fold(json!({}), &begun);
        let mut state = fold(state, &record_all(&mut recorder, &[end]));
        let mut ids = json!({"threadId": "t", "runId": "r", "lease": 30});
        let ids = ids.as_object_mut().unwrap();
        ids.extend(said.as_object().unwrap().clone());
        assert_eq!(state["_run"], json!(ids));
        state = fold(state, &recorder.start(run("s"), &Map::new()));
        let next = json!({"threadId": "t", "runId": "s", "lease": 30});
        assert_eq!(state["_run"], next);
    }
}

#[test]
fn a_patch_that_does_not_apply_is_reported_and_the_run_goes_on() {
    let (mut recorder, _) = started();
    let state = json!({"type": "STATE_SNAPSHOT", "snapshot": {"n": 1, "_status": "mine"}});
    let wrong = json!({"type": "STATE_DELTA", "delta": [{"op": "remove", "path": "/m"}]});
    let stolen = json!({"type": "STATE_DELTA", "delta": [{"op": "remove", "path": "/_messages"}]});
    let list = json!({"type": "STATE_SNAPSHOT", "snapshot": [1]});
    let root =
        json!({"type": "STATE_DELTA", "delta": [{"op": "replace", "path": "", "value": {"n": 2}}]});
    let records = record_all(&mut recorder, &[state, wrong, stolen, list, root]);
    let failed: Vec<bool> = records.iter().map(|it| it.failure.is_some()).collect();
    assert_eq!(failed, [false, true, true, true, false]);
    assert_eq!(
        json!(records[0].patch),
        json!([{"op": "add", "path": "/n", "value": 1}])
    );
    assert_eq!(
        json!(records[4].patch),
        json!([{"op": "replace", "path": "/n", "value": 2}])
    );
}

/// Without a limit, each of these operations doubles the state.
#[test]
fn a_small_patch_that_copies_without_end_is_reported_and_changes_nothing() {
    let copies = |from: &str, to: &dyn Fn(usize) -> String| {
        let copy = |n| json!({"op": "copy", "from": from, "path": to(n)});
        (0..40).map(copy).collect::<Vec<_>>()
    };
    let of_all = copies("", &|n| format!("/a{n}"));
    let of_member = copies("/n", &|n| format!("/n/a{n}"));
    let (mut recorder, _) = started();
    let events = [
        json!({"type": "STATE_SNAPSHOT", "snapshot": {"n": {"text": "x"}}}),
        json!({"type": "STATE_DELTA", "delta": of_all}),
        json!({"type": "STATE_DELTA", "delta": of_member}),
        json!({"type": "ACTIVITY_SNAPSHOT", "messageId": "a", "activityType": "PLAN", "content": {"n": {}}}),
        json!({"type": "ACTIVITY_DELTA", "messageId": "a", "activityType": "PLAN", "patch": of_member}),
        json!({"type": "STATE_DELTA", "delta": [{"op": "add", "path": "/m", "value": 1}]}),
    ];
    let records = record_all(&mut recorder, &events);
    let failed: Vec<bool> = records.iter().map(|it| it.failure.is_some()).collect();
    assert_eq!(failed, [false, true, true, false, true, false]);
    let why = records[1].failure.as_ref().unwrap();
    assert!(why.contains("does not apply"), "{why}");
}

#[test]
fn what_is_open_at_once_is_limited() {
    let (mut recorder, _) = started();
    let step = |n: usize| json!({"type": "STEP_STARTED", "stepName": format!("s{n}")});
    let steps: Vec<Value> = (0..1000).map(step).collect();
    assert_eq!(record_all(&mut recorder, &steps).len(), 1000);
    let piece = json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "x"});
    for more in [&step(1000), &piece] {
        let error = recorder.record(event(more)).unwrap_err();
        assert_eq!(error.code(), "too-many-open");
    }
    let end = json!({"type": "STEP_FINISHED", "stepName": "s7"});
    assert_eq!(record_all(&mut recorder, &[end, piece]).len(), 3);
    let (mut recorder, _) = started();
    let long = json!({"type": "REASONING_START", "messageId": "m".repeat(1025)});
    let error = recorder.record(event(&long)).unwrap_err();
    assert_eq!(error.code(), "event-too-large");
    let ended = recorder.end(&End::Cancelled);
    assert_eq!(ended.len(), 1);
}

#[test]
fn a_second_run_of_the_same_source_has_the_lease_of_the_first_one() {
    let (mut recorder, _) = started();
    let events = [
        json!({"type": "RUN_FINISHED"}),
        json!({"type": "RUN_STARTED", "threadId": "t", "runId": "s"}),
    ];
    let records = record_all(&mut recorder, &events);
    assert!(recorder.has_lease());
    let state = fold(json!({}), &records[1..]);
    assert_eq!(
        state["_run"],
        json!({"threadId": "t", "runId": "s", "lease": 30})
    );
}

#[test]
fn thinking_is_recorded_as_reasoning() {
    let (mut recorder, begun) = started();
    let thought = [
        json!({"type": "THINKING_START", "title": "Hm"}),
        json!({"type": "THINKING_TEXT_MESSAGE_START"}),
        json!({"type": "THINKING_TEXT_MESSAGE_CONTENT", "delta": "By "}),
        json!({"type": "THINKING_TEXT_MESSAGE_CONTENT", "delta": "sea"}),
        json!({"type": "THINKING_TEXT_MESSAGE_END"}),
        json!({"type": "THINKING_END"}),
    ];
    let twice = [&thought[..], &thought[..]].concat();
    let records = record_all(&mut recorder, &twice);
    let kinds: Vec<&str> = records
        .iter()
        .map(|it| it.item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[..6],
        [
            "REASONING_START",
            "REASONING_MESSAGE_START",
            "REASONING_MESSAGE_CONTENT",
            "REASONING_MESSAGE_CONTENT",
            "REASONING_MESSAGE_END",
            "REASONING_END",
        ]
    );
    assert_eq!(records[0].item.get("title"), None);
    assert_eq!(records[1].item["role"], "reasoning");
    let state = fold(fold(json!({}), &begun), &records);
    let message = |n: usize| json!({"id": format!("r-thinking-{n}"), "role": "reasoning", "content": "By sea"});
    assert_eq!(state[MESSAGES], json!([message(2), message(3)]));
}

#[test]
fn raw_events_are_left_out_and_unknown_ones_are_custom() {
    let raw = json!({"type": "RAW", "event": {"a": 1}, "source": "graph"});
    let new = json!({"type": "FROM_THE_FUTURE"});
    let custom = json!({"type": "CUSTOM", "name": "a.b", "value": null, "rawEvent": {"large": 1}});
    let (mut recorder, _) = started();
    let records = record_all(&mut recorder, &[raw.clone(), new, custom]);
    let items: Vec<&Value> = records.iter().map(|it| &it.item).collect();
    assert_eq!(
        json!(items),
        json!([
            {"type": "CUSTOM", "name": "ag-ui.FROM_THE_FUTURE", "value": {"type": "FROM_THE_FUTURE"}},
            {"type": "CUSTOM", "name": "a.b", "value": null},
        ])
    );
    let with_raw = Options {
        raw: true,
        ..OPTIONS
    };
    let mut recorder = Recorder::new(Map::new(), with_raw);
    recorder.start(run("r"), &Map::new());
    assert_eq!(record_all(&mut recorder, &[raw]).len(), 1);
}

#[test]
fn a_run_begins_with_the_messages_and_the_state_that_the_page_sent() {
    let mut recorder = Recorder::new(Map::new(), OPTIONS);
    let input = json!({"state": {"n": 1}, "messages": [{"id": "u", "role": "user", "content": "hi"}], "tools": [{"secret": 1}]});
    let records = recorder.start(run("r"), input.as_object().unwrap());
    let state = fold(json!({}), &records);
    assert_eq!(
        state,
        json!({
            "_status": "active", "_run": {"threadId": "t", "runId": "r", "lease": 30}, "n": 1,
            "_messages": [{"id": "u", "role": "user", "content": "hi"}],
        })
    );
    assert!(!json!(records).to_string().contains("secret"));
    assert!(recorder.is_known_to(input.as_object().unwrap()));
    for lacks in [
        json!({"state": {"n": 1}}),
        json!({"messages": input["messages"]}),
    ] {
        assert!(!recorder.is_known_to(lacks.as_object().unwrap()), "{lacks}");
    }
    recorder
        .record(event(&json!({"type": "RUN_FINISHED"})))
        .unwrap();
    // The page sends all messages with each run; the second one lacks none.
    let again = recorder.start(run("s"), input.as_object().unwrap());
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].item["input"]["messages"], json!([]));
}

/// A thread after a run with a question, an answer with a tool call, and a state.
fn ended_thread() -> Recorder {
    let mut recorder = Recorder::new(Map::new(), OPTIONS);
    let question = json!({"messages": [{"id": "u", "role": "user", "content": "hi"}]});
    recorder.start(run("r"), question.as_object().unwrap());
    let events = [
        json!({"type": "STATE_SNAPSHOT", "snapshot": {"n": 2}}),
        json!({"type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": "By sea"}),
        json!({"type": "TOOL_CALL_CHUNK", "toolCallId": "c", "toolCallName": "f", "delta": "{}", "parentMessageId": "p"}),
        json!({"type": "ACTIVITY_SNAPSHOT", "messageId": "a", "activityType": "PLAN", "content": {}}),
        json!({"type": "RUN_FINISHED"}),
    ];
    record_all(&mut recorder, &events);
    recorder
}

#[test]
fn a_page_that_is_behind_its_thread_does_not_overwrite_it() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let known = json!([
        {"id": "u", "role": "user", "content": "hi"},
        {"id": "m", "role": "assistant", "content": "By sea"},
        {"id": "p", "role": "assistant", "content": "", "toolCalls": [call]},
    ]);
    let next = json!({"id": "u2", "role": "user", "content": "and now?"});
    let with = |at: usize, path: &str, value: Value| {
        let mut messages = known.clone();
        *messages[at].pointer_mut(path).unwrap() = value;
        messages
    };
    for (mut messages, is_behind) in [
        (known.clone(), false),
        (with(1, "/content", "By s".into()), true),
        (with(1, "/content", "By air".into()), false),
        (with(2, "/toolCalls/0/function/arguments", "{".into()), true),
        (with(2, "/toolCalls", json!([])), true),
        (json!([known[0]]), true),
        (json!([known[0], known[1]]), true),
        // It edits.
        (json!([]), false),
    ] {
        messages.as_array_mut().unwrap().push(next.clone());
        let input = json!({"messages": messages, "state": {"n": 1}, "tools": [7]});
        let mut input = input.as_object().unwrap().clone();
        let mut recorder = ended_thread();
        let records = recorder.start(run("s"), &input);
        assert_eq!(records[0].item["input"]["messages"], json!([next]));
        assert_eq!(recorder.page_is_behind(), is_behind, "{messages}");
        assert_eq!(records.len(), if is_behind { 1 } else { 2 });
        assert!(!recorder.is_known_to(&input), "it lacks the activity");
        recorder.bring_up_to_date(&mut input);
        let state = if is_behind { 2 } else { 1 };
        assert_eq!(input["state"], json!({"n": state}));
        let ids: Vec<&Value> = input["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["id"])
            .collect();
        assert_eq!(json!(ids), json!(["u", "m", "p", "u2"]));
        assert_eq!(input["messages"][1]["content"], "By sea");
        assert_eq!(input["tools"], json!([7]));
    }
    // It runs the agent again.
    let input = json!({"messages": [known[0]], "state": {"n": 1}});
    assert!(!ended_thread().is_behind(input.as_object().unwrap()));
}

#[test]
fn an_event_that_lacks_a_member_is_named() {
    for (text, detail) in [
        ("[]", "an event is not a JSON object"),
        ("{\"type\": 1}", "no valid `type`"),
        (
            "{\"type\": \"TEXT_MESSAGE_CONTENT\", \"messageId\": \"m\", \"delta\": null}",
            "no valid `delta`",
        ),
        (
            "{\"type\": \"STATE_DELTA\", \"delta\": {}}",
            "no valid `delta`",
        ),
    ] {
        let error = Event::read(text).unwrap_err().to_string();
        assert!(error.contains(detail), "{error}");
    }
}

#[test]
fn many_messages_are_compared_by_their_ids() {
    let message = |n: usize| json!({"id": format!("m{n}"), "role": "user", "content": "hi"});
    let all: Vec<Value> = (0..100_000).map(message).collect();
    let input = json!({"messages": all});
    let input = input.as_object().unwrap();
    let mut recorder = Recorder::new(Map::new(), OPTIONS);
    let begun = recorder.start(run("r"), input);
    assert_eq!(begun[0].item["input"]["messages"], json!(all));
    assert!(recorder.is_known_to(input));
    let mut changed = all;
    changed.swap(0, 1);
    changed[7]["content"] = "changed".into();
    changed.push(message(7));
    let snapshot = json!({"type": "MESSAGES_SNAPSHOT", "messages": changed});
    let records = record_all(&mut recorder, &[snapshot]);
    let path = "/_messages/7/content";
    assert_eq!(
        json!(records[0].patch),
        json!([{"op": "replace", "path": path, "value": "changed"}])
    );
}
