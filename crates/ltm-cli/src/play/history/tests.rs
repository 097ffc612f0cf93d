use std::{fs, path::PathBuf};

use serde_json::{Map, Value};

use super::*;
use ltm_state::json;

/// The recorded histories that ship with the project, and further ones if they exist.
fn recordings() -> Vec<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let shipped = here.join("../../tests/data");
    let more = here.join("../../../shared/flou-traces");
    [shipped, more]
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect()
}

/// The object made by a patch that only adds members to the root, as the first patch of an engine does.
fn made_by(patch: &Value) -> Value {
    let mut members = Map::new();
    for operation in patch.as_array().unwrap() {
        assert_eq!(operation["op"], "add");
        let path = operation["path"].as_str().unwrap();
        let key = path.strip_prefix('/').unwrap();
        assert!(!key.contains('/'), "{path}");
        let key = key.replace("~1", "/").replace("~0", "~");
        members.insert(key, operation["value"].clone());
    }
    Value::Object(members)
}

fn value(of: &impl Serialize) -> Value {
    json::read(&serde_json::to_string(of).unwrap()).unwrap()
}

#[test]
fn every_recording_becomes_a_creation_and_the_steps_after_it() {
    let files = recordings();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let recording: Value = json::read(&text).unwrap();
        let document = &recording["documents"].as_array().unwrap().last().unwrap()["document"];
        let snapshots = document["snapshots"].as_array().unwrap();
        let history = History::read(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));

        let created = value(&history.creation(None, None));
        for field in ["fqn", "name", "structure"] {
            assert_eq!(created[field], document[field], "{}", file.display());
        }
        assert_eq!(created["state"], made_by(&snapshots[0]["patch"]));
        let item = &snapshots[0]["item"];
        assert_eq!(created["playground"], item["playground"]);
        assert_eq!(
            created.get("payload"),
            item.get("payload").filter(|it| it.is_object())
        );

        let steps: Vec<_> = history.steps().collect();
        assert_eq!(steps.len() + 1, snapshots.len());
        for (index, gap, step) in steps {
            let (sent, recorded) = (value(step), &snapshots[index]);
            for field in [
                "reason",
                "item",
                "patch",
                "execute_queue",
                "transitions_queue",
            ] {
                assert_eq!(sent[field], recorded[field], "{}: {index}", file.display());
            }
            assert_eq!(sent.get("time"), None);
            assert!(gap > Duration::ZERO, "{}: {index}", file.display());
        }
    }
}

fn document(first: &str) -> String {
    format!(
        r#"{{"fqn": "a.B", "snapshots": [
            {{"reason": "{first}", "item": {{"params": false, "payload": null}},
              "patch": [{{"op": "add", "path": "/n", "value": 0.10}}], "time": "2026-11-23 10:00:00.5"}},
            {{"reason": "execute", "patch": [], "time": "2026-11-23T10:00:02Z"}},
            {{"reason": "execute", "patch": [], "time": "2026-11-23 10:00:01+00:00"}}]}}"#
    )
}

#[test]
fn a_history_that_does_not_begin_at_the_start_is_appended_whole() {
    let text = document("execute");
    let history = History::read(&text).unwrap();
    let created = value(&history.creation(Some("mine"), LtmId::new(7).ok()));
    assert_eq!(
        created,
        serde_json::json!({"fqn": "a.B", "name": "mine", "id": 7, "playground": false})
    );
    let indexes: Vec<_> = history.steps().map(|(index, ..)| index).collect();
    assert_eq!(indexes, [0, 1, 2]);
}

#[test]
fn a_start_is_folded_and_times_of_any_spelling_give_the_gaps() {
    let text = document("start");
    let history = History::read(&text).unwrap();
    let created = serde_json::to_string(&history.creation(None, None)).unwrap();
    assert_eq!(
        created,
        r#"{"fqn":"a.B","playground":false,"state":{"n":0.10}}"#
    );
    let gaps: Vec<_> = history
        .steps()
        .map(|(index, gap, _)| (index, gap))
        .collect();
    assert_eq!(
        gaps,
        [(1, Duration::from_millis(1500)), (2, Duration::ZERO)]
    );
}

#[test]
fn the_last_document_with_status_200_counts() {
    let (first, last) = (document("start"), document("execute"));
    let text = format!(
        r#"{{"documents": [{{"status": 200, "document": {first}}}, {{"status": 200, "document": {last}}},
            {{"status": 404, "document": {{"detail": "gone"}}}}]}}"#
    );
    assert_eq!(History::read(&text).unwrap().steps().count(), 3);
}

#[test]
fn what_is_no_history_says_so() {
    let bad = document("start").replace("\"/n\"", "\"/n/m\"");
    for (text, said) in [
        ("[]", "not a document of an LTM: "),
        ("{}", "not a document of an LTM: missing field `fqn`"),
        (
            r#"{"documents": []}"#,
            "no document of the recording has status 200",
        ),
        (&bad, "snapshot 0 cannot be applied: operation 0"),
    ] {
        let error = History::read(text).err().map(|e| e.to_string());
        assert!(
            error.as_ref().is_some_and(|e| e.starts_with(said)),
            "{error:?}"
        );
    }
}
