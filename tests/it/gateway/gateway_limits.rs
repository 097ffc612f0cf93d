//! What one subscriber may cost the gateway, and when the gateway closes its socket.

use ltm_tests::{
    Api, Crowd, Follower, Heard, Network, RawConnection, RedisServer, Service, Stack, Subscriber,
    resident_bytes, until,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

const MIB: usize = 1024 * 1024;

/// The head of a masked text frame that declares this length (RFC 6455 section 5.2).
fn frame_head(length: u64) -> Vec<u8> {
    let mut head = vec![0x81, 0x80 | 127];
    head.extend(length.to_be_bytes());
    head.extend([0; 4]);
    head
}

/// Whether what came ends in a close frame with this code.
fn closed_with(heard: &[u8], code: u16) -> bool {
    heard
        .windows(4)
        .any(|four| four[0] == 0x88 && four[2..] == code.to_be_bytes())
}

/// How many sockets a process has open.
fn sockets(service: &Service) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", service.pid()))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// The problem with which a connection is refused before the upgrade.
async fn refusal(url: &str) -> Value {
    match Subscriber::connect(url).await.map_err(|e| *e) {
        Err(Error::Http(response)) => {
            serde_json::from_slice(response.body().as_ref().unwrap()).unwrap()
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is not refused"),
    }
}

/// Connects until the gateway has a free permit, and does not close the socket at once; gives the first message.
async fn accepted(url: &str) -> Value {
    until("the gateway accepts a subscriber", async || {
        let mut subscriber = Subscriber::connect(url).await.unwrap();
        match subscriber.hear().await {
            Heard::Message(message) => Ok(message),
            ended => Err(ended),
        }
    })
    .await
}

/// Appends `count` snapshots of about a MiB each.
async fn append_big(api: &Api, id: u64, count: usize) {
    for round in 0..count {
        let text = "x".repeat(MIB);
        api.append(id, json!({"merge": {"text": format!("{round}{text}")}}))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_over_the_limit_closes_the_socket() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let mut socket = RawConnection::to(stack.gateway.address()).await;
    socket.upgrade(&format!("/ws/{id}")).await;
    socket.send(&frame_head(100 * 1024)).await.unwrap();
    socket.send(&[b'x'; 100 * 1024]).await.unwrap();
    let heard = socket.rest().await;
    assert!(closed_with(&heard, 1009), "{heard:?}");
    stack.gateway.until_logged("gateway.max_frame").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_frame_ends_the_socket_before_it_fills_the_memory() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let before = resident_bytes(stack.gateway.pid());
    for declared in [MIB as u64, 400 * MIB as u64, u64::MAX >> 1] {
        let mut socket = RawConnection::to(stack.gateway.address()).await;
        socket.upgrade(&format!("/ws/{id}")).await;
        socket.send(&frame_head(declared)).await.unwrap();
        let mut sent = 0;
        while sent < 64 * MIB && socket.send(&[b'x'; 64 * 1024]).await.is_ok() {
            sent += 64 * 1024;
        }
        socket.rest().await;
        assert!(
            sent < 16 * MIB,
            "{sent} bytes of {declared} were taken or lie in the system's buffers"
        );
    }
    let grown = resident_bytes(stack.gateway.pid()).saturating_sub(before);
    assert!(grown < 16 * MIB, "{grown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_ends_its_own_socket_alone() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    let mut other = Subscriber::connect(&stack.gateway.ws(&path)).await.unwrap();
    let long_ping = [&b"\x89\xfe\x01\x00\0\0\0\0"[..], &[b'x'; 256]].concat();
    for (bytes, code) in [
        // Without a mask; a reserved opcode; a control frame of 256 bytes; a continuation of nothing.
        (&b"\x81\x02hi"[..], 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (&long_ping, 1002),
        (b"\x80\x80\0\0\0\0", 1002),
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),
        // A close without a code, and one with half a code.
        (b"\x88\x80\0\0\0\0", 1000),
        (b"\x88\x81\0\0\0\0\x03", 1002),
    ] {
        let mut socket = RawConnection::to(stack.gateway.address()).await;
        socket.upgrade(&path).await;
        socket.send(bytes).await.unwrap();
        let heard = socket.rest().await;
        assert!(closed_with(&heard, code), "{code} {bytes:?}: {heard:?}");
    }
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    assert_eq!(other.message().await["snapshot"]["patch"][0]["value"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_too_much_is_closed_and_a_little_is_ignored() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__MAX_MESSAGE", "100 B"),
        ("LTM__GATEWAY__MAX_MESSAGES", "5"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut quiet = Subscriber::connect(&url).await.unwrap();
    let mut loud = Subscriber::connect(&url).await.unwrap();
    let mut frequent = Subscriber::connect(&url).await.unwrap();
    for _ in 0..5 {
        assert!(quiet.say("hello").await);
        assert!(frequent.say("hello").await);
    }
    assert!(loud.say(&"x".repeat(101)).await);
    assert_eq!(loud.close_code().await, 1008);
    assert!(frequent.say("once too often").await);
    assert_eq!(frequent.close_code().await, 1008);
    stack.gateway.until_logged("\"gateway.max_message\"").await;
    stack.gateway.until_logged("\"gateway.max_messages\"").await;
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    assert_eq!(quiet.message().await["snapshot"]["patch"][0]["value"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_no_ping_is_dropped_and_one_that_does_stays() {
    let stack = Stack::with(&[("LTM__GATEWAY__PING_INTERVAL", "300ms")]);
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    let url = stack.gateway.ws(&path);
    let (heard, heard_by) = tokio::sync::oneshot::channel();
    let alive = tokio::spawn(async move {
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        heard.send(()).unwrap();
        (subscriber.message().await, subscriber.pings)
    });
    heard_by.await.unwrap();
    let mut silent = RawConnection::to(stack.gateway.address()).await;
    silent.upgrade(&path).await;
    let heard = silent.rest().await;
    assert!(heard.starts_with(&[0x89, 0]), "a ping comes: {heard:?}");
    assert!(closed_with(&heard, 1011), "{heard:?}");
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    let (message, pings) = alive.await.unwrap();
    assert_eq!(message["snapshot"]["patch"][0]["value"], 1);
    assert!(pings >= 2, "{pings}");
}

/// The close waits for room in the socket: only the kernel can end it.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_nothing_is_cut_off_and_leaves_nothing_behind() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__WRITE_STALL", "2s"),
        ("LTM__GATEWAY__PING_INTERVAL", "1h"),
        ("LTM__GATEWAY__MAX_SUBSCRIBERS", "1"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    append_big(&stack.api, id, 8).await;
    let mut stalled = RawConnection::with_small_buffer(stack.gateway.address()).await;
    stalled.upgrade(&format!("/ws/{id}?after=0")).await;
    let with_it = sockets(&stack.gateway);
    until("its socket is gone", async || {
        sockets(&stack.gateway) < with_it
    })
    .await;
    // Its permit is free as soon as its task has noticed.
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let connect = async || Subscriber::connect(&url).await;
    until("the permit of the first is free", connect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_that_stop_reading_cost_little_memory_and_lose_nothing() {
    const STALLED: usize = 20;
    let stack = Stack::with(&[("LTM__GATEWAY__CACHE", "16 MiB")]);
    let (id, _) = stack.api.create(json!({})).await;
    append_big(&stack.api, id, 16).await;
    let before = resident_bytes(stack.gateway.pid());
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(Subscriber::connect(&url).await.unwrap());
    }
    let mut reader = Subscriber::connect(&url).await.unwrap();
    let mut follower = Follower::default();
    while follower.seen.len() < 17 {
        follower.take(&reader.message().await);
    }
    // 16 MiB each, if all that is meant for them were queued.
    let grown = resident_bytes(stack.gateway.pid()).saturating_sub(before);
    assert!(grown < 96 * MIB, "{} MiB", grown / MIB);
    for mut subscriber in stalled.into_iter().take(3) {
        let mut follower = Follower::default();
        while follower.seen.len() < 17 {
            follower.take(&subscriber.message().await);
        }
    }
}

/// docs/performance.md says what it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_to_whom_nothing_happens_takes_a_few_kib() {
    let crowd = Crowd::of(1_200).await;
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut idle = Vec::new();
    let mut each = 0;
    // The first ones take what all share. A thousand more: the allocator takes memory in large pieces.
    for count in [crowd.size / 6, crowd.size / 6 * 5] {
        let before = resident_bytes(stack.gateway.pid());
        for _ in 0..count {
            idle.push(Subscriber::connect(&url).await.unwrap());
        }
        each = resident_bytes(stack.gateway.pid()).saturating_sub(before) / count;
    }
    assert!(each < 13 * 512, "{each} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ltms_on_one_socket_take_little_each() {
    const FIRST: usize = 200;
    const MORE: usize = 1_000;
    let stack = Stack::with(&[("LTM__GATEWAY__MAX_FOLLOWS", "1200")]);
    let mut ids = Vec::new();
    for _ in 0..FIRST + MORE {
        ids.push(stack.api.create(json!({})).await.0);
    }
    let mut subscriber = Subscriber::connect(&stack.gateway.ws("/ws")).await.unwrap();
    let mut each = 0;
    // The first ones take what all share. A thousand more: the allocator takes memory in large pieces.
    for part in [&ids[..FIRST], &ids[FIRST..]] {
        let before = resident_bytes(stack.gateway.pid());
        for id in part {
            subscriber
                .say(&json!({"follow": id, "live": true}).to_string())
                .await;
            assert_eq!(subscriber.message().await["id"], *id);
        }
        each = resident_bytes(stack.gateway.pid()).saturating_sub(before) / part.len();
    }
    assert!(each < 4 * 1024, "{each} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_counted_and_given_back() {
    let stack = Stack::with(&[("LTM__GATEWAY__MAX_SUBSCRIBERS", "2")]);
    let (id, _) = stack.api.create(json!({})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let first = Subscriber::connect(&url).await.unwrap();
    let _second = Subscriber::connect(&url).await.unwrap();
    let problem = refusal(&url).await;
    assert_eq!(problem["type"], "urn:ltm-live:problem:over-limit");
    assert_eq!(problem["status"], 503);
    stack
        .gateway
        .until_logged("\"gateway.max_subscribers\"")
        .await;
    first.leave().await;
    let connect = async || Subscriber::connect(&url).await;
    until("the permit of the first is free", connect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_has_as_many_subscribers_as_allowed_and_another_one_has_its_own() {
    let stack = Stack::with(&[("LTM__GATEWAY__MAX_SUBSCRIBERS_PER_LTM", "1")]);
    let (first, _) = stack.api.create(json!({})).await;
    let (second, _) = stack.api.create(json!({})).await;
    let url = |id: u64| stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url(first)).await.unwrap();
    subscriber.message().await;
    let mut refused = Subscriber::connect(&url(first)).await.unwrap();
    assert_eq!(refused.close_code().await, 1013);
    stack.gateway.until_logged("max_subscribers_per_ltm").await;
    let mut other = Subscriber::connect(&url(second)).await.unwrap();
    other.message().await;
    subscriber.leave().await;
    assert_eq!(accepted(&url(first)).await["id"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_ltms_as_allowed_are_followed_and_no_more() {
    let stack = Stack::with(&[("LTM__GATEWAY__MAX_FOLLOWED", "1")]);
    let (first, _) = stack.api.create(json!({})).await;
    let (second, _) = stack.api.create(json!({})).await;
    let url = |id: u64| stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url(first)).await.unwrap();
    subscriber.message().await;
    let mut refused = Subscriber::connect(&url(second)).await.unwrap();
    assert_eq!(refused.close_code().await, 1013);
    stack.gateway.until_logged("gateway.max_followed").await;
    let mut beside = Subscriber::connect(&url(first)).await.unwrap();
    beside.message().await;
    subscriber.leave().await;
    beside.leave().await;
    assert_eq!(accepted(&url(second)).await["id"], second);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_room_for_entries_and_one_read_at_a_time_everybody_gets_everything() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__WINDOW", "1 B"),
        ("LTM__GATEWAY__PAGE", "1 B"),
        ("LTM__GATEWAY__CACHE", "2 B"),
        ("LTM__GATEWAY__MAX_READS", "1"),
        ("LTM__GATEWAY__QUEUE", "1 B"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let append = async |count| {
        for n in 0..count {
            stack.api.append(id, json!({"merge": {"n": n}})).await;
        }
    };
    append(20).await;
    let base = [stack.gateway.ws(&format!("/ws/{id}"))];
    let follow = async || {
        let mut follower = Follower::default();
        let all = |f: &Follower| f.seen.len() == 41;
        follower.follow_until(&base, all).await;
    };
    let followers = futures_util::future::join_all((0..20).map(|_| follow()));
    tokio::join!(followers, append(20));
}

/// While Redis is out of reach entries pile up, and then come all at once.
#[tokio::test(flavor = "multi_thread")]
async fn entries_that_come_faster_than_they_are_taken_are_read_from_the_log() {
    let redis = RedisServer::start(&[]);
    let network = Network::to(&redis.address()).await;
    let url = format!("redis://{}/0", network.address());
    let settings = [
        ("LTM__GATEWAY__LIVE_QUEUE", "1 B"),
        ("LTM__GATEWAY__SWEEP_INTERVAL", "1h"),
        ("LTM__REDIS__RESPONSE_TIMEOUT", "50s"),
    ];
    let gateway = Service::gateway(&url, &settings);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({})).await;
    Api::at(&gateway).until_ready_is(200).await;
    let url = gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let mut follower = Follower::default();
    let mut sent = 1;
    // Until they come together: how a network parts them is its own affair.
    while !gateway.logged("gateway.live_queue") {
        assert!(sent < 5000, "it never overflows");
        network.hold();
        for n in 0..100 {
            api.append(id, json!({"merge": {"n": n}})).await;
        }
        network.release();
        sent += 100;
        while follower.seen.len() < sent {
            follower.take(&subscriber.message().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_subscribes_to_an_ltm_once_whatever_the_number_of_subscribers_and_lets_it_go() {
    let stack = Stack::with(&[("LTM__GATEWAY__LINGER", "100ms")]);
    let (id, _) = stack.api.create(json!({})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscribers = Vec::new();
    for _ in 0..50 {
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        subscriber.message().await;
        subscribers.push(subscriber);
    }
    let channel = format!("ltm:0:{{{id}}}:live");
    let connections = || {
        let answer = stack.redis.cli(&["PUBSUB", "NUMSUB", &channel]);
        let count = answer.lines().last().unwrap().trim();
        count.parse::<usize>().unwrap()
    };
    let threads = std::thread::available_parallelism().unwrap().get();
    until("the gateway subscribes to the LTM", async || {
        connections() > 0
    })
    .await;
    assert!(connections() <= threads);
    for subscriber in subscribers {
        subscriber.leave().await;
    }
    until("the gateway lets the LTM go", async || connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_sends_everybody_elsewhere_over_its_drain_time() {
    for signal in ["TERM", "INT"] {
        let mut stack = Stack::with(&[
            ("LTM__GATEWAY__DRAIN_NOTICE", "0s"),
            ("LTM__GATEWAY__DRAIN_TIME", "5s"),
        ]);
        let (id, _) = stack.api.create(json!({})).await;
        let url = stack.gateway.ws(&format!("/ws/{id}"));
        let mut subscribers = Vec::new();
        for _ in 0..30 {
            subscribers.push(Subscriber::connect(&url).await.unwrap());
        }
        stack.gateway.signal(signal);
        Api::at(&stack.gateway).until_ready_is(503).await;
        stack
            .gateway
            .until_logged("draining: closing the sockets")
            .await;
        // Who is not told yet is still served.
        stack.api.append(id, json!({"merge": {"n": 1}})).await;
        let problem = refusal(&url).await;
        assert_eq!(problem["type"], "urn:ltm-live:problem:unavailable");
        let mut served = 0;
        for subscriber in &mut subscribers {
            let mut heard = subscriber.hear().await;
            if let Heard::Message(message) = &heard {
                assert_eq!(message["snapshot"]["patch"][0]["value"], 1);
                served += 1;
                heard = subscriber.hear().await;
            }
            assert!(matches!(heard, Heard::Closed(1012)), "{signal}: {heard:?}");
        }
        assert!(served > 0, "{signal}: all were told at once");
        assert_eq!(stack.gateway.wait().code(), Some(0), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_serves_whoever_comes_until_load_balancers_have_seen_it() {
    let stack = Stack::with(&[("LTM__GATEWAY__DRAIN_NOTICE", "1h")]);
    let (id, _) = stack.api.create(json!({})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut before = Subscriber::connect(&url).await.unwrap();
    stack.gateway.signal("TERM");
    Api::at(&stack.gateway).until_ready_is(503).await;
    let mut after = Subscriber::connect(&url).await.unwrap();
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    for subscriber in [&mut before, &mut after] {
        let message = subscriber.message().await;
        assert_eq!(message["snapshot"]["patch"][0]["value"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_gateway_at_once() {
    let mut stack = Stack::with(&[("LTM__GATEWAY__DRAIN_TIME", "1h")]);
    let (id, _) = stack.api.create(json!({})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let _first = Subscriber::connect(&url).await.unwrap();
    let _second = Subscriber::connect(&url).await.unwrap();
    stack.gateway.signal("TERM");
    stack.gateway.until_logged("stopping").await;
    stack.gateway.signal("TERM");
    assert_eq!(stack.gateway.wait().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_new_subscribers_are_sent_elsewhere() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]);
    redis.kill();
    let gateway = Service::gateway(&redis.url(), &[]);
    Api::at(&gateway).until_ready_is(503).await;
    let mut subscriber = Subscriber::connect(&gateway.ws("/ws/1")).await.unwrap();
    assert_eq!(subscriber.close_code().await, 1013);
    redis.restart();
    Api::at(&gateway).until_ready_is(200).await;
    let mut subscriber = Subscriber::connect(&gateway.ws("/ws/1")).await.unwrap();
    assert_eq!(subscriber.close_code().await, 4404);
}
