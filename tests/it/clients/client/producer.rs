//! Writing, whatever happens between.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use ltm_client::{Client, Error, Options, ProblemKind, TextStream};
use ltm_tests::{Api, Network, RedisServer, Service, Stack, items, until};
use serde_json::json;

use super::{client, hasty, ltm, with};

/// Waits until an LTM has so many snapshots.
async fn until_there_are(api: &Api, id: u64, count: u64) {
    until(&format!("LTM {id} has {count} snapshots"), async || {
        let now = api.document(id).await["snapshots_count"].clone();
        if now == count { Ok(()) } else { Err(now) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_lands_once_though_its_answer_is_lost_and_an_error_names_the_snapshot() {
    let stack = Stack::start();
    let network = Network::to(stack.api_service.address()).await;
    let producer = client(network.address()).producer();
    let created = producer.create(&json!({"fqn": "a.B"})).send().await;
    let id = created.unwrap().id;
    let mut steps: Vec<_> = (0..50)
        .map(|n| json!({"reason": "execute", "item": n, "merge": {"n": n}}))
        .collect();
    network.hold_answers();
    let append = producer.append_all(id, &steps).send();
    let lose = async {
        until_there_are(&stack.api, id.get(), 51).await;
        network.cut();
        network.release();
    };
    let (appended, ()) = tokio::join!(append, lose);
    let appended = appended.unwrap();
    assert_eq!((appended.index, appended.cursors.len()), (50, 50));
    assert_eq!(appended.cursors.last(), Some(&appended.cursor));
    let written: Vec<usize> = (0..50).collect();
    assert_eq!(items(&stack.api, id.get()).await, written);

    steps[7]["merge"] = json!(7);
    let refused = producer.append_all(id, &steps).send().await.unwrap_err();
    assert_eq!(refused.snapshot(), Some(7), "{refused}");
    assert!(refused.is(ProblemKind::InvalidRequest));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_lands_once_though_every_answer_is_lost_the_first_time() {
    const STEPS: u64 = 10;
    let stack = Stack::start();
    let network = Network::to(stack.api_service.address()).await;
    let producer = client(network.address()).producer().named("engine", 1);
    let created = producer
        .create(&json!({"fqn": "a.B"}))
        .send()
        .await
        .unwrap();
    let (id, mut cursor) = (created.id, created.cursor);
    let retries = AtomicU32::new(0);
    for step in 0..STEPS {
        network.hold_answers();
        let body = json!({"reason": "execute", "item": step, "merge": {"n": step}});
        let append = producer
            .append(id, &body)
            .if_match(cursor)
            .on_retry(|error, _| {
                assert!(error.is_unreachable(), "{error}");
                retries.fetch_add(1, Ordering::SeqCst);
            })
            .send();
        let lose = async {
            until_there_are(&stack.api, id.get(), step + 2).await;
            network.cut();
            network.release();
        };
        let (appended, ()) = tokio::join!(append, lose);
        let appended = appended.unwrap();
        assert_eq!(appended.index, step + 1);
        cursor = appended.cursor;
    }
    assert!(retries.load(Ordering::SeqCst) >= STEPS as u32);
    let written: Vec<usize> = (0..STEPS as usize).collect();
    assert_eq!(items(&stack.api, id.get()).await, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_sent_again_until_redis_is_back() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]);
    let service = Service::api(&redis.url(), &[]);
    let options = Options {
        attempts: 100,
        ..hasty()
    };
    let producer = with(service.address(), options).producer();
    let created = producer
        .create(&json!({"fqn": "a.B"}))
        .send()
        .await
        .unwrap();
    redis.kill();
    let retried = AtomicU32::new(0);
    let body = json!({"reason": "execute", "merge": {"n": 1}});
    let append = producer
        .append(created.id, &body)
        .on_retry(|error, pause| {
            // It says when to come back.
            assert!(error.is(ProblemKind::Unavailable), "{error}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
            assert!(pause >= Duration::from_secs(1));
            retried.fetch_add(1, Ordering::SeqCst);
        })
        .send();
    let restart = async {
        until("the producer tries again", async || {
            retried.load(Ordering::SeqCst) > 0
        })
        .await;
        redis.restart();
    };
    let (appended, ()) = tokio::join!(append, restart);
    assert_eq!(appended.unwrap().index, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_tried_as_often_as_allowed_and_what_is_refused_once() {
    let tries = |options: Options| async move {
        let network = Network::to("127.0.0.1:1").await;
        let producer = with(network.address(), options).producer();
        let retries = AtomicU32::new(0);
        let body = json!({"fqn": "a.B"});
        let create = producer.create(&body).on_retry(|_, _| {
            retries.fetch_add(1, Ordering::SeqCst);
        });
        let error = create.send().await.unwrap_err();
        assert!(error.is_unreachable(), "{error}");
        retries.load(Ordering::SeqCst) + 1
    };
    assert_eq!(tries(hasty()).await, Options::default().attempts);
    assert_eq!(
        tries(Options {
            attempts: 1,
            ..hasty()
        })
        .await,
        1
    );

    let stack = Stack::start();
    let producer = client(stack.api_service.address()).producer();
    let body = json!({"reason": "execute", "merge": {}});
    let refused = producer
        .append(ltm(7), &body)
        .on_retry(|error, _| panic!("{error}"))
        .send()
        .await
        .unwrap_err();
    assert!(refused.is(ProblemKind::UnknownLtm), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_write_gives_where_the_ltm_is_then() {
    let stack = Stack::start();
    let client = client(stack.api_service.address());
    let producer = client.producer();
    let new = json!({"fqn": "a.B", "state": {"n": 0}});
    let created = producer.create(&new).send().await.unwrap();
    let id = created.id;
    let mut cursor = created.cursor;
    for n in 1..=3 {
        let body = json!({"reason": "execute", "merge": {"n": n}});
        let appended = producer
            .append(id, &body)
            .if_match(cursor)
            .send()
            .await
            .unwrap();
        assert_eq!(appended.index, n);
        cursor = appended.cursor;
    }
    let back = json!({"snapshot": {"index": 1}});
    let back = producer
        .rollback(id, &back)
        .if_match(cursor)
        .send()
        .await
        .unwrap();
    assert_eq!((back.snapshot_index, back.snapshots_count), (Some(1), 2));
    let undo = json!({"rollback": {"index": 0}});
    let undone = producer.rollback(id, &undo).send().await.unwrap();
    assert_eq!((undone.snapshot_index, undone.snapshots_count), (None, 4));
    let report = json!({"id": "00000000-0000-4000-8000-000000000001", "reason": "execute", "retrying": true});
    let recorded = producer.record_error(id, &report).send().await.unwrap();
    assert!(recorded.error.get().contains(r#""retrying":true"#));
    let state = client.state(id, None, None).await.unwrap();
    assert_eq!((state.cursor, state.index), (recorded.cursor, 3));
    assert_eq!(state.state["n"], 3);
    let late = producer.append(id, &json!({"reason": "x", "merge": {}}));
    let late = late.if_match(cursor).send().await.unwrap_err();
    let problem = late.problem().unwrap();
    assert!(problem.is(ProblemKind::CursorMismatch));
    assert_eq!(problem.cursor, Some(recorded.cursor));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_was_replaced_is_told_so() {
    let stack = Stack::start();
    let client = client(stack.api_service.address());
    let created = client
        .producer()
        .create(&json!({"fqn": "a.B"}))
        .send()
        .await
        .unwrap();
    let write = async |epoch| {
        let producer = client.producer().named("engine", epoch);
        let body = json!({"reason": "execute", "merge": {"by": epoch}});
        producer.append(created.id, &body).send().await
    };
    write(7).await.unwrap();
    write(8).await.unwrap();
    let fenced = write(7).await.unwrap_err();
    assert!(fenced.is(ProblemKind::Fenced), "{fenced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_key_that_was_given_a_step_lands_once_over_restarts_of_the_program() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let body = json!({"reason": "execute", "merge": {"n": 1}});
    let mut cursors = Vec::new();
    for _ in 0..3 {
        let client = Client::new(&stack.api_service.http()).unwrap();
        let producer = client.producer();
        let append = producer
            .append(ltm(id), &body)
            .idempotency_key("step-1".to_owned());
        cursors.push(append.send().await.unwrap().cursor);
    }
    cursors.dedup();
    assert_eq!(cursors.len(), 1);
    assert_eq!(stack.api.document(id).await["snapshots_count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_longer_than_allowed_is_not_taken() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"text": "x".repeat(20_000)})).await;
    let max_answer = 10_000;
    let options = Options {
        max_answer,
        ..hasty()
    };
    let refused = with(stack.api_service.address(), options)
        .document(ltm(id), false)
        .await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Unreadable { .. }), "{refused}");
    let whole = client(stack.api_service.address())
        .document(ltm(id), false)
        .await;
    assert!(whole.unwrap().text().len() > 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_grows_by_chunks_and_is_one_text_in_the_end() {
    let stack = Stack::start();
    let producer = client(stack.api_service.address()).producer();
    let new = json!({"fqn": "a.Chat", "key": "k", "state": {"messages": [{}]}});
    let id = producer.create(&new).send().await.unwrap().id;
    let mut text = TextStream::begin(producer.clone(), id, "/messages/0/content");
    for (word, so_far) in [
        ("Harbours ", json!(["Harbours "])),
        ("are ", json!(["Harbours ", "are "])),
    ] {
        text.write(word);
        until(&format!("{word:?} is there"), async || {
            let state = stack.api.document(id.get()).await["state"].clone();
            let chunks = &state["messages"][0]["content"]["chunks"];
            if *chunks == so_far {
                Ok(())
            } else {
                Err(state)
            }
        })
        .await;
    }
    text.write("safe.");
    assert_eq!(text.text(), "Harbours are safe.");
    text.end().await.unwrap();
    let document = stack.api.document(id.get()).await;
    assert_eq!(
        document["state"]["messages"][0]["content"],
        "Harbours are safe."
    );

    // A text that is over before its first chunk, and one whose place is gone.
    let empty = TextStream::begin(producer.clone(), id, "/summary");
    empty.end().await.unwrap();
    assert_eq!(stack.api.document(id.get()).await["state"]["summary"], "");
    let mut lost = TextStream::begin(producer, id, "/nowhere/content");
    lost.write("x");
    assert!(lost.end().await.unwrap_err().is(ProblemKind::PatchFailed));
}
