//! Following, whatever happens between.

use std::time::Duration;

use ltm_client::{Change, Cursor, Error, Event, Options, ProblemKind, Start, Status, View};
use ltm_tests::{Api, Haproxy, Network, RedisServer, Service, Stack, until};
use serde_json::{Value, json};

use super::{
    client, disconnect, event, hasty, is_live, live, ltm, message, next, view_where, with,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_is_seen_once_and_in_order_over_connections_that_are_cut_after_each_few_bytes() {
    const STEPS: u64 = 120;
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"list": []})).await;
    let mut followers = Vec::new();
    for bytes in [700, 1001, 2500] {
        let network = Network::to(stack.gateway.address()).await;
        network.cut_after(bytes);
        let client = client(network.address());
        followers.push(tokio::spawn(async move {
            let mut events = client.follow(ltm(id), Start::After(Cursor::ORIGIN));
            let mut view = View::at(Cursor::ORIGIN, json!({}), 0);
            let (mut seen, mut cuts) = (0, 0);
            while seen < STEPS + 2 {
                let event = event(&mut events).await;
                match &event {
                    Event::Message(message) if !matches!(message.change, Change::Live) => {
                        seen += 1;
                        assert_eq!(message.cursor.seq, seen, "a gap or a double");
                    }
                    Event::Message(_) => {}
                    Event::Disconnected { reason, .. } => {
                        assert!(!matches!(reason, Error::Closed { .. }), "{reason}");
                        cuts += 1;
                    }
                }
                view.take(&event).unwrap();
            }
            drop(network);
            (view, cuts)
        }));
    }
    for step in 0..STEPS {
        let patch = json!([{"op": "add", "path": "/list/-", "value": step}]);
        stack.api.append(id, json!({"patch": patch})).await;
    }
    let back = json!({"snapshot": {"index": STEPS - 1}});
    let path = format!("/ltm/{id}/rollback");
    stack.api.post(&path, &back).await.expect(200);
    let document = stack.api.document(id).await;
    for follower in followers {
        let (view, cuts) = follower.await.unwrap();
        assert!(cuts > 10, "{cuts}");
        assert_eq!(*view.state, document["state"]);
        assert_eq!(json!(view.snapshots_count), document["snapshots_count"]);
        assert_eq!(json!(view.cursor), document["cursor"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_right_again_whenever_it_is_live_though_gateways_are_killed_and_started_again() {
    let stack = Stack::start();
    let (id, _) = stack
        .api
        .create(json!({"n": 0, "long": "9".repeat(40)}))
        .await;
    let network = Network::to(stack.gateway.address()).await;
    let mut gateway = stack.gateway;
    let mut views = client(network.address()).views(ltm(id));
    view_where(&mut views, is_live).await;
    for round in 0..3 {
        stack.api.append(id, json!({"merge": {"n": round}})).await;
        view_where(&mut views, |view| view.state["n"] == round).await;
        gateway.kill();
        stack.api.append(id, json!({"merge": {"m": round}})).await;
        let view = view_where(&mut views, |view| !is_live(view)).await;
        assert_eq!(view.status, Status::Reconnecting);
        assert_eq!(view.state["n"], round);
        gateway = Service::gateway(&stack.redis.url(), &[]);
        network.lead_to(gateway.address());
        let view = view_where(&mut views, is_live).await;
        let document = stack.api.document(id).await;
        assert_eq!(*view.state, document["state"]);
        assert_eq!(json!(view.cursor), document["cursor"]);
        assert_eq!(json!(view.snapshots_count), document["snapshots_count"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_in_good_order_is_left_for_the_next_one() {
    let stack = Stack::with(&[("LTM__GATEWAY__DRAIN_TIME", "100ms")]);
    let (id, _) = stack.api.create(json!({})).await;
    let network = Network::to(stack.gateway.address()).await;
    let mut events = client(network.address()).follow(ltm(id), Start::Now);
    let before = live(&mut events).await;
    let next_gateway = Service::gateway(&stack.redis.url(), &[]);
    network.lead_to(next_gateway.address());
    stack.gateway.signal("TERM");
    let reason = disconnect(&mut events).await;
    assert!(
        matches!(reason, Error::Closed { code: 1012, .. }),
        "{reason}"
    );
    assert_eq!(live(&mut events).await, before);
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    assert!(matches!(
        message(&mut events).await.change,
        Change::Snapshot(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_goes_silent_is_given_up() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let network = Network::to(stack.gateway.address()).await;
    let silence = Duration::from_millis(400);
    let options = Options { silence, ..hasty() };
    let mut events = with(network.address(), options).follow(ltm(id), Start::State);
    live(&mut events).await;
    network.hold();
    let reason = disconnect(&mut events).await;
    assert!(reason.to_string().contains("silent"), "{reason}");
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    network.release();
    assert!(matches!(
        message(&mut events).await.change,
        Change::Snapshot(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_before_there_is_a_gateway_hears_of_it_and_waits() {
    let redis = RedisServer::start(&[]);
    let api = Service::api(&redis.url(), &[]);
    let (id, _) = Api::at(&api).create(json!({"n": 1})).await;
    let network = Network::to("127.0.0.1:1").await;
    let mut views = client(network.address()).views(ltm(id));
    let (event, view) = next(&mut views).await.unwrap().unwrap();
    assert!(matches!(event, Event::Disconnected { reason, .. } if reason.is_unreachable()));
    assert_eq!(view, View::default());
    let gateway = Service::gateway(&redis.url(), &[]);
    network.lead_to(gateway.address());
    let view = view_where(&mut views, is_live).await;
    assert_eq!(*view.state, json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_the_last_thing_that_is_heard() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 1})).await;
    let client = client(stack.gateway.address());
    let mut views = client.views(ltm(id));
    view_where(&mut views, is_live).await;
    let path = format!("/ltm/{id}");
    let delete = stack.api.request(reqwest::Method::DELETE, &path);
    assert!(stack.api.send(delete).await.status.is_success());
    let (event, view) = next(&mut views).await.unwrap().unwrap();
    assert!(matches!(event, Event::Message(message) if matches!(message.change, Change::Deleted)));
    assert_eq!(view.status, Status::Deleted);
    assert_eq!(*view.state, json!({"n": 1}));
    assert!(next(&mut views).await.is_none());
    // Who comes later learns of it, too.
    let mut late = client.follow(ltm(id), Start::After(view.cursor.unwrap()));
    while let Some(heard) = next(&mut late).await {
        match heard {
            Ok(Event::Message(message)) => {
                assert!(matches!(message.change, Change::Deleted), "{message:?}");
            }
            Err(Error::Closed { code, .. }) => assert_eq!(code, 4410),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_is_no_gateway_ends_it_at_once() {
    let stack = Stack::start();
    let mut unknown = client(stack.gateway.address()).views(ltm(7));
    let refused = next(&mut unknown).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, Error::Closed { code: 4404, .. }),
        "{refused}"
    );
    assert!(next(&mut unknown).await.is_none());
    // The API knows no such path.
    let mut elsewhere = client(stack.api_service.address()).views(ltm(7));
    let refused = next(&mut elsewhere).await.unwrap().unwrap_err();
    assert_eq!(refused.problem().unwrap().status, 404);
    assert!(next(&mut elsewhere).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_no_longer_kept_are_made_up_for_by_the_state() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "2")]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let network = Network::to(stack.gateway.address()).await;
    let mut views = client(network.address()).views(ltm(id));
    view_where(&mut views, is_live).await;
    network.refuse(true);
    network.cut();
    for n in 1..=10 {
        stack.api.append(id, json!({"merge": {"n": n}})).await;
    }
    trim(&stack, id).await;
    network.refuse(false);
    let mut reasons = Vec::new();
    let view = loop {
        let (event, view) = next(&mut views).await.unwrap().unwrap();
        if let Event::Message(message) = event
            && let Change::Reset(reset) = message.change
        {
            reasons.push(reset.reason);
        }
        if is_live(&view) {
            break view;
        }
    };
    assert_eq!(reasons, ["trimmed"]);
    assert_eq!(*view.state, json!({"n": 10}));
    assert_eq!(view.snapshots_count, 11);
}

/// Removes what a checkpoint covers from the log, once that is nearly all.
async fn trim(stack: &Stack, id: u64) {
    let key = |name: &str| format!("ltm:{{{id}}}:{name}");
    let checkpoint = until("the checkpoint is nearly at the head", async || {
        let checkpoint = stack.redis.cli(&["HGET", &key("checkpoint"), "cursor"]);
        let near = checkpoint.starts_with("10-") || checkpoint.starts_with("11-");
        if near {
            Ok(checkpoint)
        } else {
            Err(checkpoint)
        }
    })
    .await;
    stack
        .redis
        .cli(&["XTRIM", &key("log"), "MINID", &checkpoint]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_became_another_one_is_begun_again_with_its_state() {
    let stack = Stack::start();
    let new = |state: Value| json!({"fqn": "tests.Ltm", "id": 7, "state": state});
    stack
        .api
        .post("/ltm", &new(json!({"n": 0})))
        .await
        .expect(200);
    let network = Network::to(stack.gateway.address()).await;
    let mut views = client(network.address()).views(ltm(7));
    for n in 1..=3 {
        stack.api.append(7, json!({"merge": {"n": n}})).await;
    }
    view_where(&mut views, |view| is_live(view) && view.state["n"] == 3).await;
    network.refuse(true);
    network.cut();
    // Redis comes back with nothing, and somebody begins anew.
    stack.redis.cli(&["FLUSHALL"]);
    let (api, gateway) = (
        Service::api(&stack.redis.url(), &[]),
        Service::gateway(&stack.redis.url(), &[]),
    );
    let api = Api::at(&api);
    api.post("/ltm", &new(json!({"other": 1})))
        .await
        .expect(200);
    for n in 0..5 {
        api.append(7, json!({"merge": {"m": n}})).await;
    }
    network.lead_to(gateway.address());
    network.refuse(false);
    let view = view_where(&mut views, |view| view.state["m"] == 4).await;
    assert_eq!(*view.state, json!({"other": 1, "m": 4}));
    assert_eq!(view.snapshots_count, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_fit_the_view_is_never_shown_and_the_state_is_asked_for_again() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"count": 0})).await;
    let network = Network::to(stack.gateway.address()).await;
    let mut views = client(network.address()).views(ltm(id));
    view_where(&mut views, is_live).await;
    network.garble(r#""path":"/count""#, r#""path":"/a/b/c""#);
    let mut count = 0;
    let reason = 'misfit: loop {
        count += 1;
        stack
            .api
            .append(id, json!({"merge": {"count": count}}))
            .await;
        // What came in two pieces was not garbled.
        loop {
            let (event, view) = next(&mut views).await.unwrap().unwrap();
            match event {
                Event::Disconnected { reason, .. } => {
                    assert_eq!(view.cursor, None);
                    break 'misfit reason;
                }
                Event::Message(_) if view.state["count"] == count => break,
                Event::Message(_) => {}
            }
        }
    };
    assert!(matches!(reason, Error::Misfit(_)), "{reason}");
    network.release();
    let view = view_where(&mut views, is_live).await;
    assert_eq!(*view.state, json!({"count": count}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_larger_than_allowed_ends_it() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"text": "x".repeat(20_000)})).await;
    let max_message = 10_000;
    let options = Options {
        max_message,
        ..hasty()
    };
    let mut views = with(stack.gateway.address(), options).views(ltm(id));
    let refused = next(&mut views).await.unwrap().unwrap_err();
    assert!(matches!(refused, Error::Unreadable { .. }), "{refused}");
    assert!(next(&mut views).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_seldom_is_sent_no_more_than_fits_between_and_misses_nothing() {
    const STEPS: u64 = 60;
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"text": ""})).await;
    let mut events = client(stack.gateway.address()).follow(ltm(id), Start::State);
    live(&mut events).await;
    for n in 0..STEPS {
        let text = format!("{n}-{}", "x".repeat(300_000));
        stack.api.append(id, json!({"state": {"text": text}})).await;
    }
    // Nobody has read from the socket, and what does not fit into the buffers of the system waits at the gateway.
    let mut view = None;
    for n in 0..STEPS {
        let message = message(&mut events).await;
        assert_eq!(message.cursor.seq, n + 2);
        view = Some(message);
    }
    let last = view.unwrap();
    assert!(last.text().len() > 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_websocket_comes_through_the_same_comes_as_events() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let gateway = Service::gateway(&redis.url(), &[("LTM__GATEWAY__DRAIN_TIME", "100ms")]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({"n": 0})).await;
    let page = "    acl is_page path / /docs\n";
    for rule in [
        "http-request deny deny_status 403 if { path_beg /ws/ }",
        "http-request del-header Upgrade",
    ] {
        let changed = format!("    {rule}\n{page}");
        let haproxy = Haproxy::with(&[&service], &[&gateway], &[(page, &changed)]);
        let network = Network::to(haproxy.http().trim_start_matches("http://")).await;
        let mut views = client(network.address()).views(ltm(id));
        let before = view_where(&mut views, is_live).await;
        let count = before.snapshots_count;
        api.append(id, json!({"merge": {"n": count}})).await;
        view_where(&mut views, |view| view.state["n"] == count).await;
        network.cut();
        api.append(id, json!({"merge": {"m": count}})).await;
        view_where(&mut views, |view| !is_live(view)).await;
        let view = view_where(&mut views, is_live).await;
        assert_eq!(*view.state, json!({"n": count, "m": count}));
        assert_eq!(view.snapshots_count, count + 2);
    }
    let changed = format!("    http-request deny deny_status 403 if {{ path_beg /ws/ }}\n{page}");
    let haproxy = Haproxy::with(&[&service], &[&gateway], &[(page, &changed)]);
    let client = client(haproxy.http().trim_start_matches("http://"));
    // What would close a socket ends the events.
    let mut unknown = client.views(ltm(id + 1));
    let refused = next(&mut unknown).await.unwrap().unwrap_err();
    assert!(refused.is(ProblemKind::UnknownLtm), "{refused}");
    let mut events = client.follow(ltm(id), Start::Now);
    live(&mut events).await;
    gateway.signal("TERM");
    let reason = disconnect(&mut events).await;
    assert!(
        matches!(reason, Error::Closed { code: 1012, .. }),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_depth_arrive_as_they_were_written() {
    let stack = Stack::start();
    let deep = "[".repeat(200) + "9007199254740993" + &"]".repeat(200);
    let state = format!(r#"{{"deep":{deep},"n":0.10}}"#);
    let body = format!(r#"{{"fqn":"tests.Ltm","state":{state}}}"#);
    let created = stack.api.post_text("/ltm", &body, &[]).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    let mut views = client(stack.gateway.address()).views(ltm(id));
    let view = view_where(&mut views, is_live).await;
    assert_eq!(view.state.to_string(), state);
    stack.api.append(id, json!({"merge": {"m": 1}})).await;
    let view = view_where(&mut views, |view| view.snapshots_count == 2).await;
    let expected = format!(r#"{{"deep":{deep},"m":1,"n":0.10}}"#);
    assert_eq!(view.state.to_string(), expected);
}
