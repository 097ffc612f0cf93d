//! Every recorded history, appended snapshot by snapshot while subscribers follow.
//!
//! `LTM_TEST_URL=http://127.0.0.1:8000` replays them through services that run already.

use futures_util::{StreamExt, stream};
use ltm_tests::{Api, Follower, Recording, Stack, Subscriber, fold, same};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_history_arrives_whole_at_every_kind_of_subscriber() {
    let recordings = Recording::all();
    assert!(recordings.len() >= 4, "the recordings that ship are there");
    let replay_all = async |api: &Api, ws: &str| {
        stream::iter(&recordings)
            .for_each_concurrent(4, |recording| {
                replay(recording, api, |path| format!("{ws}{path}"))
            })
            .await;
    };
    if let Ok(url) = std::env::var("LTM_TEST_URL") {
        replay_all(&Api::at_url(&url), &url.replacen("http", "ws", 1)).await;
    } else {
        // The subscribers read only after the last append, and answer no ping before.
        let stack = Stack::with(&[("LTM__GATEWAY__PING_INTERVAL", "5m")]);
        replay_all(&stack.api, &stack.gateway.ws("")).await;
    }
}

async fn replay(recording: &Recording, api: &Api, ws: impl Fn(&str) -> String) {
    let name = &recording.name;
    let (id, rest) = create(recording, api).await;
    let mut from_start = Subscriber::connect(&ws(&format!("/ws/{id}?after=0")))
        .await
        .unwrap();
    let mut with_state = Subscriber::connect(&ws(&format!("/api/v0/ws/{id}?init=state")))
        .await
        .unwrap();
    let (mut all, mut stateful) = (Follower::default(), Follower::default());
    stateful.take(&with_state.message().await);

    let half = rest.len() / 2;
    for snapshot in &rest[..half] {
        append(api, id, snapshot).await;
    }
    let document = api.document(id).await;
    let mut from_middle = Subscriber::connect(&ws(&format!(
        "/ws/{id}?after={}",
        document["cursor"].as_str().unwrap()
    )))
    .await
    .unwrap();
    let mut middle = Follower::of(&document);
    for snapshot in &rest[half..] {
        append(api, id, snapshot).await;
    }

    let document = api.document(id).await;
    let end = document["cursor"].as_str().unwrap();
    for (subscriber, follower) in [
        (&mut from_start, &mut all),
        (&mut with_state, &mut stateful),
        (&mut from_middle, &mut middle),
    ] {
        while follower.cursor.to_string() != end {
            follower.take(&subscriber.message().await);
        }
        assert!(
            same(&follower.state, &recording.folded),
            "{name}: a subscriber ended in {}",
            follower.state
        );
    }
    assert_eq!(
        all.seen.len() as u64,
        document["snapshots_count"].as_u64().unwrap(),
        "{name}"
    );
    assert!(
        same(&document["state"], &recording.folded),
        "{name}: the document ended in {}",
        document["state"]
    );
    assert!(
        same(
            &fold(document["snapshots"].as_array().unwrap()),
            &recording.folded
        ),
        "{name}"
    );
    check_history(name, &document, rest);
}

/// Creates the LTM with what the first snapshot makes, where that is its start; gives the other snapshots.
async fn create<'a>(recording: &'a Recording, api: &Api) -> (u64, &'a [Value]) {
    let snapshots = recording.snapshots();
    let document = &recording.document;
    let mut body = json!({"fqn": document["fqn"], "name": document["name"], "structure": document["structure"]});
    let starts = snapshots[0]["reason"] == "start";
    if starts {
        body["state"] = fold(&snapshots[..1]);
        body["payload"] = snapshots[0]["item"]["payload"].clone();
    }
    let created = api.post("/ltm", &body).await.expect(200);
    (
        created["id"].as_u64().unwrap(),
        if starts { &snapshots[1..] } else { snapshots },
    )
}

async fn append(api: &Api, id: u64, snapshot: &Value) {
    let mut body = snapshot.clone();
    body.as_object_mut().unwrap().remove("time");
    api.post(&format!("/ltm/{id}/snapshots"), &body)
        .await
        .expect(201);
}

/// The document's snapshots are what was appended.
fn check_history(name: &str, document: &Value, appended: &[Value]) {
    let snapshots = document["snapshots"].as_array().unwrap();
    assert!(snapshots.len() >= appended.len(), "{name}");
    let kept = &snapshots[snapshots.len() - appended.len()..];
    for (kept, appended) in kept.iter().zip(appended) {
        for field in [
            "reason",
            "item",
            "patch",
            "execute_queue",
            "transitions_queue",
        ] {
            assert_eq!(kept[field], appended[field], "{name}: {field}");
        }
    }
}
