use std::time::Duration;

use proptest::{prelude::*, sample::Index};
use serde_json::json;

use super::*;
use crate::Error;

/// What happens to an LTM.
#[derive(Clone, Debug)]
enum Act {
    Step(Value),
    Back(Index),
    Fail,
    Unheard,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        Just(serde_json::from_str("0.10").unwrap()),
        "[a~/]{0,3}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let state = prop::collection::btree_map("[a-d]", value, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()));
    let act = prop_oneof![
        6 => state.prop_map(Act::Step),
        2 => any::<Index>().prop_map(Act::Back),
        1 => Just(Act::Fail),
        1 => Just(Act::Unheard),
    ];
    prop::collection::vec(act, 0..12)
}

/// A log: the message for each entry, and the view after it.
struct Log {
    /// The first is the view before the first entry.
    views: Vec<View>,
    messages: Vec<String>,
}

fn cursor(seq: usize) -> Cursor {
    format!("{seq}-7").parse().unwrap()
}

fn patch(from: &Value, to: &Value) -> Value {
    // By members, so that no operation has the empty path.
    let (old, new) = (from.as_object().unwrap(), to.as_object().unwrap());
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let gone = gone.map(|key| json!({"op": "remove", "path": format!("/{key}")}));
    let set = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value));
    let set =
        set.map(|(key, value)| json!({"op": "add", "path": format!("/{key}"), "value": value}));
    gone.chain(set).collect()
}

impl Log {
    fn of(acts: &[Act]) -> Self {
        let mut states = vec![json!({})];
        let mut view = View::at(cursor(1), json!({}), 1);
        let mut log = Self {
            views: vec![view.clone()],
            messages: Vec::new(),
        };
        for (place, act) in acts.iter().enumerate() {
            let cursor = cursor(place + 2);
            let text = match act {
                Act::Step(state) => {
                    let patch = patch(&view.state, state);
                    states.push(state.clone());
                    json!({"cursor": cursor, "snapshot": {"time": "T", "reason": "execute", "item": null,
                        "patch": patch, "execute_queue": [], "transitions_queue": []}})
                }
                Act::Back(index) => {
                    let index = index.index(states.len());
                    states.truncate(index + 1);
                    let patch = patch(&view.state, &states[index]);
                    json!({"cursor": cursor, "snapshot_index": index, "rollback": {"time": "T",
                        "reason": "manual", "patch": patch, "snapshots_count": index + 1}})
                }
                Act::Fail => json!({"cursor": cursor, "error": {"id": "x"}}),
                Act::Unheard => json!({"cursor": cursor, "unheard_of": [1]}),
            };
            view = View::at(cursor, states.last().unwrap().clone(), states.len() as u64);
            log.views.push(view.clone());
            log.messages.push(text.to_string());
        }
        log
    }
}

fn message(text: &str) -> Event {
    Event::Message(text.parse().unwrap())
}

fn live(view: &View) -> Event {
    message(&json!({"cursor": view.cursor, "live": true}).to_string())
}

fn reset(view: &View) -> Event {
    let reset = json!({"reason": "requested", "state": *view.state, "snapshots_count": view.snapshots_count});
    message(&json!({"cursor": view.cursor, "reset": reset}).to_string())
}

fn lost() -> Event {
    Event::Disconnected {
        reason: Error::Lost {
            detail: "cut".into(),
        },
        pause: Duration::ZERO,
    }
}

proptest! {
    #[test]
    fn each_message_leads_to_the_state_that_the_service_has_then(acts in acts()) {
        let log = Log::of(&acts);
        let mut view = View::default();
        view.take(&reset(&log.views[0])).unwrap();
        for (text, expected) in log.messages.iter().zip(&log.views[1..]) {
            view.take(&message(text)).unwrap();
            prop_assert_eq!(&view, expected);
        }
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_and_resumed_is_folded_to_the_same_as_a_whole_one(
        acts in acts(), cuts in prop::collection::vec((any::<Index>(), any::<bool>()), 0..5),
    ) {
        let log = Log::of(&acts);
        let mut view = View::default();
        let mut kept = Vec::new();
        view.take(&reset(&log.views[0])).unwrap();
        for place in 0..log.views.len() {
            for (cut, from_state) in &cuts {
                if cut.index(log.views.len()) == place {
                    view.take(&live(&log.views[place])).unwrap();
                    view.take(&lost()).unwrap();
                    prop_assert_eq!(view.status, Status::Reconnecting);
                    if *from_state {
                        view.take(&reset(&log.views[place])).unwrap();
                    }
                    // A clone does not change.
                    kept.push((view.clone(), place));
                }
            }
            if let Some(text) = log.messages.get(place) {
                view.take(&message(text)).unwrap();
            }
        }
        let last = log.views.last().unwrap();
        view.take(&live(last)).unwrap();
        prop_assert_eq!(&view, &View { status: Status::Live, ..last.clone() });
        for (copy, place) in kept {
            prop_assert_eq!(copy.state, log.views[place].state.clone());
        }
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_nothing_that_could_be_taken_for_the_state(acts in acts()) {
        let log = Log::of(&acts);
        let last = log.views.last().unwrap();
        let mut view = View { status: Status::Live, ..last.clone() };
        let stray = json!({"cursor": "99-7", "snapshot": {"time": "T", "reason": "execute", "item": null,
            "patch": [{"op": "add", "path": "/half", "value": 1}, {"op": "remove", "path": "/never/there"}],
            "execute_queue": [], "transitions_queue": []}});
        let misfit = view.take(&message(&stray.to_string())).unwrap_err();
        prop_assert_eq!(misfit.cursor.to_string(), "99-7");
        prop_assert_eq!(&view, &View { status: Status::Reconnecting, ..View::default() });
        view.take(&reset(last)).unwrap();
        view.take(&live(last)).unwrap();
        prop_assert_eq!(&view, &View { status: Status::Live, ..last.clone() });
    }
}

#[test]
fn a_state_that_nobody_else_has_is_changed_in_place() {
    let mut view = View::at(cursor(1), json!({"list": [1, 2, 3]}), 1);
    let place = Arc::as_ptr(&view.state);
    let log = Log::of(&[Act::Step(json!({"n": 1}))]);
    view.take(&message(&log.messages[0])).unwrap();
    assert_eq!(Arc::as_ptr(&view.state), place);
    let copy = view.clone();
    view.take(&message(&log.messages[0])).unwrap();
    assert_ne!(Arc::as_ptr(&view.state), place);
    assert_eq!(Arc::as_ptr(&copy.state), place);
    // The same state again is the one that is there.
    let before = Arc::clone(&view.state);
    view.take(&reset(&view.clone())).unwrap();
    assert!(Arc::ptr_eq(&before, &view.state));
}

#[test]
fn a_deep_state_with_long_numbers_is_kept_to_the_digit() {
    let deep = "[".repeat(500) + "9007199254740993" + &"]".repeat(500);
    let text = format!(
        r#"{{"cursor":"1-7","reset":{{"reason":"requested","state":{{"deep":{deep},"n":0.10}},"snapshots_count":1}}}}"#
    );
    let mut view = View::default();
    view.take(&message(&text)).unwrap();
    assert_eq!(
        view.state.to_string(),
        format!(r#"{{"deep":{deep},"n":0.10}}"#)
    );
    let deeper = text.replace('[', "[[").replace(']', "]]");
    let refused = deeper.parse::<Message>().unwrap_err();
    assert!(refused.to_string().contains("deeper than"), "{refused}");
}
