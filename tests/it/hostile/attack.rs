//! Small requests that would cost much, at default settings. The system limits the memory of the services, and each
//! attack has a budget of memory and CPU. docs/limits.md lists what each cost once.
//!
//! `make attack` runs them at their full size, against a release build. A development build gets smaller ones, because
//! it needs several times the CPU.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use futures_util::future::join_all;
use ltm_tests::{
    Answer, Api, Events, RedisServer, Scrape, Service, Subscriber, cpu_seconds, forget_peak,
    peak_bytes, resident_bytes, until,
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;
/// The address space of each service.
const ADDRESS_SPACE: usize = 1024 * MIB;
/// The memory that one request may take.
const MEMORY: usize = 256 * MIB;
/// Whether the attacks have their full size.
const FULL: bool = !cfg!(debug_assertions);
/// The CPU time that one request may take, in seconds.
const CPU: f64 = if FULL { 2.0 } else { 8.0 };

/// The size of an attack: as it is, or smaller in a development build.
fn size(full: usize) -> usize {
    if FULL { full } else { full / 8 }
}

/// The services under attack.
struct Target {
    api: Api,
    api_service: Service,
    gateway: Service,
    redis: RedisServer,
}

impl Target {
    fn start() -> Self {
        let redis = RedisServer::start(&[]);
        let api_service = Service::api_within(ADDRESS_SPACE, &redis.url(), &[]);
        Self {
            api: Api::at(&api_service),
            api_service,
            gateway: Service::gateway_within(ADDRESS_SPACE, &redis.url(), &[]),
            redis,
        }
    }

    /// Sends a body. The API stays within the budget, whatever it answers.
    async fn attack(&self, what: &str, path: &str, body: &str) -> Answer {
        let attack = async || self.api.post_text(path, body, &[]).await;
        within_budget(what, &self.api_service, attack).await
    }

    /// Appends a patch to an LTM within the budget.
    async fn patch(&self, what: &str, id: u64, patch: &str) -> Answer {
        let body = format!(r#"{{"reason":"x","patch":{patch}}}"#);
        let path = format!("/ltm/{id}/snapshots");
        self.attack(what, &path, &body).await
    }

    /// Appends a batch of these changes to an LTM within the budget.
    async fn batch(&self, what: &str, id: u64, changes: impl Iterator<Item = String>) -> Answer {
        let snapshots: Vec<String> = changes
            .map(|change| format!(r#"{{"reason":"x",{change}}}"#))
            .collect();
        let body = format!(r#"{{"snapshots":[{}]}}"#, snapshots.join(","));
        assert!(body.len() <= 8 * MIB, "{} bytes", body.len());
        let path = format!("/ltm/{id}/snapshots");
        self.attack(what, &path, &body).await
    }

    /// Creates an LTM with a state that is text, within the budget.
    async fn create(&self, what: &str, state: &str) -> u64 {
        let body = format!(r#"{{"fqn":"tests.Attack","state":{state}}}"#);
        let created = self.attack(what, "/ltm", &body).await;
        created.expect(200)["id"].as_u64().unwrap()
    }

    /// Everybody can read the LTM within the budget: this API, another one that has nothing in memory, and a gateway.
    async fn is_readable(&self, id: u64) {
        let fresh = Service::api_within(ADDRESS_SPACE, &self.redis.url(), &[]);
        for service in [&self.api_service, &fresh] {
            let api = Api::at(service);
            let read = async || api.get(&format!("/ltm/{id}/state")).await;
            let answer = within_budget("a read", service, read).await;
            assert_eq!(answer.status, 200);
        }
        let url = self.gateway.ws(&format!("/ws/{id}?init=state"));
        let follow = async || {
            let mut subscriber = Subscriber::connect(&url).await.unwrap();
            subscriber.message().await
        };
        let message = within_budget("a subscriber", &self.gateway, follow).await;
        assert!(message["reset"].is_object() || message["state"].is_object());
    }
}

/// Does something that must not cost the service more than the budget.
async fn within_budget<T>(what: &str, service: &Service, attack: impl AsyncFnOnce() -> T) -> T {
    let pid = service.pid();
    forget_peak(pid);
    let (held, used) = (resident_bytes(pid), cpu_seconds(pid));
    let answer = attack().await;
    let memory = peak_bytes(pid).saturating_sub(held);
    let cpu = cpu_seconds(pid) - used;
    eprintln!("{what}: {} MiB, {cpu:.2} CPU s", memory / MIB);
    assert!(memory < MEMORY, "{what}: {} MiB", memory / MIB);
    assert!(cpu < CPU, "{what}: {cpu} CPU s");
    answer
}

/// An array of numbers as text.
fn numbers(count: usize, number: impl FnMut(usize) -> u64) -> String {
    let numbers: Vec<String> = (0..count).map(number).map(|it| it.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

fn bits(count: usize, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    numbers(count, |_| random.u64(0..2))
}

/// The same operation many times, or several in turn.
fn operations(count: usize, in_turn: &[Value]) -> String {
    let operations: Vec<&Value> = in_turn.iter().cycle().take(count).collect();
    json!(operations).to_string()
}

fn copy(to: &str) -> Value {
    json!({"op": "copy", "from": "/a", "path": to})
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_onto_each_other_fill_no_memory_and_leave_nothing_in_the_log() {
    let target = Target::start();
    let state = format!(r#"{{"a":{}}}"#, numbers(size(1_200_000), |_| 0));
    let id = target.create("an array of zeros", &state).await;
    let copies = [copy("/b")];
    for count in [4, 16, 10_000] {
        let what = format!("{count} copies");
        let refused = target.patch(&what, id, &operations(count, &copies)).await;
        if FULL || count > 16 {
            refused.problem(422, "state-too-large");
        }
    }
    // What is accepted is a burden for nobody who reads it.
    let moves = [
        json!({"op": "move", "from": "/a", "path": "/c"}),
        json!({"op": "move", "from": "/c", "path": "/a"}),
    ];
    let moved = operations(300, &moves);
    let accepted = target.patch("300 moves", id, &moved).await;
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    target.is_readable(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_that_are_shifted_again_and_again_take_no_time() {
    let target = Target::start();
    let state = format!(r#"{{"a":{}}}"#, numbers(size(1_300_000), |_| 0));
    let id = target.create("an array of zeros", &state).await;
    let first = json!({"op": "add", "path": "/a/0", "value": 1});
    let last = json!({"op": "move", "from": "/a/0", "path": "/a/-"});
    for (count, operation) in [(500, &first), (10_000, &first), (500, &last)] {
        let what = format!("{count} times {operation}");
        let patch = operations(count, std::slice::from_ref(operation));
        let answer = target.patch(&what, id, &patch).await;
        if FULL || count > 500 {
            answer.problem(422, "state-too-large");
        }
    }
    target.is_readable(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_costs_what_it_sends_as_one_snapshot_does() {
    let target = Target::start();
    let state = format!(r#"{{"a":{},"c":{{}}}}"#, numbers(size(1_200_000), |_| 0));
    let id = target.create("an array of zeros", &state).await;
    for (what, operation) in [
        ("a batch of copies", copy("/b")),
        (
            "a batch of adds",
            json!({"op": "add", "path": "/a/0", "value": 1}),
        ),
        (
            "a batch of moves",
            json!({"op": "move", "from": "/a/0", "path": "/a/-"}),
        ),
        (
            "a batch of moves down",
            json!({"op": "move", "from": "/a", "path": "/c/a"}),
        ),
    ] {
        let back = json!({"op": "move", "from": "/c/a", "path": "/a"});
        let patch = match what {
            "a batch of moves down" => json!([operation, back]),
            _ => json!([operation]),
        };
        let changes = (0..1000).map(|_| format!(r#""patch":{patch}"#));
        let problem = target
            .batch(what, id, changes)
            .await
            .problem(422, "state-too-large");
        let field = problem["field"].as_str().unwrap();
        assert!(field.starts_with("snapshots["), "{problem}");
    }
    if FULL {
        // Each of them writes the whole object anew, because clients cannot name the member.
        let large = format!(r#"{{"a":{{"b":"{}","__proto__":0}}}}"#, "x".repeat(6 * MIB));
        let id = target.create("a large text", &large).await;
        let changes = (1..1000).map(|n| format!(r#""merge":{{"a":{{"__proto__":{n}}}}}"#));
        let refused = target.batch("a batch of large patches", id, changes).await;
        refused.problem(422, "state-too-large");
        target.is_readable(id).await;
    }

    let id = target.create("an empty state", "{}").await;
    let count = size(1000) as u64;
    let changes = (0..count).map(|n| format!(r#""state":{{"a":{}}}"#, bits(1200, n)));
    let accepted = target.batch("a batch of bits", id, changes).await;
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    let mut order: Vec<usize> = (0..500).collect();
    let changes = (0..count).map(|n| {
        fastrand::Rng::with_seed(n).shuffle(&mut order);
        format!(
            r#""merge":{{"a":{}}}"#,
            numbers(order.len(), |n| order[n] as u64)
        )
    });
    let accepted = target
        .batch("a batch of shuffled numbers", id, changes)
        .await;
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    target.is_readable(id).await;
    let large = format!("[{}]", vec![r#"{"a":0}"#; 900].join(","));
    let changes = (0..1000).map(|_| format!(r#""state":{{"a":{large}}}"#));
    let refused = target.batch("a batch of objects", id, changes).await;
    assert_eq!(
        refused.problem(422, "state-too-large")["field"],
        "snapshots"
    );
    let changes = (0..100_000).map(|_| r#""merge":{}"#.to_owned());
    let refused = target.batch("a batch that is too long", id, changes).await;
    refused.problem(413, "body-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_a_million_levels_is_refused_unread() {
    let target = Target::start();
    let deep = (0..240).fold(json!(1), |value, _| json!({"a": value}));
    let id = target.create("a deep state", &deep.to_string()).await;
    for (levels, path) in [(1_000_000, "/a"), (200, "/a/a"), (4_000_000, "/")] {
        let path = path.repeat(levels);
        let test = json!([{"op": "test", "path": path, "value": 1}]);
        let answer = target.patch("a deep path", id, &test.to_string()).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text.len() < 3000, "{}", answer.text.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_differ_everywhere_are_compared_in_bounded_time() {
    let target = Target::start();
    let count = size(1_300_000);
    let ordered = numbers(size(900_000), |n| n as u64);
    let mut shuffled: Vec<usize> = (0..size(900_000)).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut shuffled);
    let shuffled = numbers(shuffled.len(), |n| shuffled[n] as u64);
    let pairs = [
        ("random bits", bits(count, 1), bits(count, 2)),
        ("shuffled numbers", ordered, shuffled),
    ];
    for (what, from, to) in pairs {
        let id = target.create(what, &format!(r#"{{"a":{from}}}"#)).await;
        let body = format!(r#"{{"reason":"x","state":{{"a":{to}}}}}"#);
        let path = format!("/ltm/{id}/snapshots");
        let answer = target.attack(what, &path, &body).await;
        assert_eq!(answer.status, 201);
        target.is_readable(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_are_much_larger_in_memory_are_refused_unparsed() {
    let target = Target::start();
    let array = |item: &str, bytes: usize| {
        let items = vec![item; bytes / (item.len() + 1)];
        format!("[{}]", items.join(","))
    };
    let bytes = 15 * MIB / 2;
    for item in ["0", r#"{"a":0}"#, "[0]", r#"{"":{}}"#] {
        let state = format!(r#"{{"a":{}}}"#, array(item, bytes));
        let body = format!(r#"{{"fqn":"tests.Attack","state":{state}}}"#);
        let answer = target.attack(item, "/ltm", &body).await;
        let problem = answer.problem(422, "state-too-large");
        assert_eq!(problem["field"], "state", "{problem}");
    }
    // The structure of a machine is parsed, too.
    let body = format!(
        r#"{{"fqn":"tests.Attack","structure":{{"a":{}}}}}"#,
        array(r#"{"a":0}"#, bytes)
    );
    let answer = target.attack("a structure", "/ltm", &body).await;
    assert_eq!(answer.problem(422, "invalid-request")["field"], "structure");
    let id = target.create("an empty state", "{}").await;
    for item in ["0", r#"{"a":0}"#] {
        let patch = format!(
            r#"[{{"op":"add","path":"/a","value":{}}}]"#,
            array(item, bytes)
        );
        let answer = target.patch(item, id, &patch).await;
        answer.problem(422, "state-too-large");
        let body = format!(r#"{{"reason":"x","merge":{{"a":{}}}}}"#, array(item, bytes));
        let path = format!("/ltm/{id}/snapshots");
        let answer = target.attack(item, &path, &body).await;
        answer.problem(422, "state-too-large");
    }
    // What the API passes on is parsed by others.
    let many = array(r#"{"a":0}"#, bytes);
    for (field, value) in [
        ("item", format!(r#"{{"payload":{many}}}"#)),
        ("execute_queue", format!(r#"[{{"payload":{many}}}]"#)),
    ] {
        let body = format!(r#"{{"reason":"x","merge":{{}},"{field}":{value}}}"#);
        let path = format!("/ltm/{id}/snapshots");
        let answer = target.attack(field, &path, &body).await;
        assert_eq!(answer.problem(422, "state-too-large")["field"], field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_quotes_only_the_beginning_of_what_was_sent() {
    let target = Target::start();
    let id = target.create("a state", r#"{"a":[1]}"#).await;
    let long = "x".repeat(4 * MIB);
    for patch in [
        format!(r#"[{{"op":"{long}","path":"/a"}}]"#),
        format!(r#"[{{"op":"remove","path":"/{long}"}}]"#),
        format!(r#"[{{"op":"remove","path":"{long}"}}]"#),
        format!(r#"["{long}"]"#),
    ] {
        let answer = target.patch("a long text", id, &patch).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text.len() < 3000, "{}", answer.text.len());
    }
    for body in [
        format!(r#"{{"fqn":7,"{long}":1}}"#),
        format!(r#"{{"fqn":"a","id":"{long}"}}"#),
        format!(r#"{{"fqn":"a","retention":{{"max_age":"{long}"}}}}"#),
        format!(r#"{{"fqn":"a","time":"{long}"}}"#),
        format!(r#"{{"fqn":"{long}"}}"#),
        format!(r#""{long}""#),
    ] {
        let answer = target.attack("a long text", "/ltm", &body).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text.len() < 3000, "{}", answer.text.len());
    }
    let long = "x".repeat(60_000);
    for path in [
        format!("/ltm?limit={long}"),
        format!("/ltm?playground={long}"),
        format!("/ltm?before={long}"),
        format!("/ltm/{id}?rollbacks={long}"),
        format!("/ltm/{id}/state?index={long}"),
        format!("/ltm/{id}/snapshots?from={long}"),
        format!("/ltm/{long}"),
    ] {
        let answer = target.api.get(&path).await;
        assert!(answer.status.is_client_error(), "{}", answer.status);
        assert!(answer.text.len() < 3000, "{}", answer.text.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_go_on_while_large_ones_wait_for_a_thread() {
    let redis = RedisServer::start(&[]);
    let settings = [
        ("LTM__API__JSON_THREADS", "1"),
        ("LTM__API__JSON_WAIT", "1m"),
        ("LTM__API__BODIES", "2GiB"),
    ];
    let service = Service::api(&redis.url(), &settings);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({"n": 0})).await;
    let body = format!(
        r#"{{"fqn":"tests.Large","state":{{"a":{}}}}}"#,
        numbers(size(1_000_000), |n| n as u64)
    );
    let large = |api: Api, body: String| {
        tokio::spawn(async move { api.post_text("/ltm", &body, &[]).await.status })
    };
    let creations: Vec<_> = (0..8).map(|_| large(api.clone(), body.clone())).collect();
    let waiting = async || Scrape::of(&service).await.value("ltm_json_work_requests");
    until("large requests wait for each other", async || {
        waiting().await >= 4.0
    })
    .await;
    assert_eq!(api.get_root("/healthz").await.status, 200);
    api.append(id, json!({"merge": {"n": 1}})).await;
    // Both were answered before even half of the large ones was.
    assert!(waiting().await >= 2.0);
    for status in join_all(creations).await {
        assert_eq!(status.unwrap(), 200);
    }
    until("no large request is left", async || waiting().await == 0.0).await;
}

/// The bounds do not hurt an engine that sends its whole state of 3.9 MiB after a small change.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_state_that_an_honest_engine_sends_whole_costs_little() {
    const OBJECTS: usize = 20_000;
    let target = Target::start();
    let message =
        |n: usize| json!({"id": n, "role": "agent", "done": false, "text": "x".repeat(150)});
    let mut state = json!({"messages": (0..OBJECTS).map(message).collect::<Vec<_>>()});
    let id = target
        .create("a state of 3.9 MiB", &state.to_string())
        .await;
    let path = format!("/ltm/{id}/snapshots");
    let round = async |n: usize, state: &Value| {
        let body = format!(r#"{{"reason":"execute","state":{state}}}"#);
        let began = std::time::Instant::now();
        let what = format!("{} bytes, round {n}", body.len());
        let answer = target.attack(&what, &path, &body).await.expect(201);
        let patch = answer["snapshot"]["patch"].clone();
        let (bytes, took) = (patch.to_string().len(), began.elapsed());
        eprintln!("{what}: {took:?}, a patch of {bytes} bytes");
        patch
    };
    for n in 0..5 {
        let at = OBJECTS / 2 + n;
        state["messages"][at]["done"] = json!(true);
        let path = format!("/messages/{at}/done");
        let expected = json!([{"op": "replace", "path": path, "value": true}]);
        assert_eq!(round(n, &state).await, expected);
    }
}

/// Who reads a large state waits for the same threads as who writes one.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_state_is_made_text_on_the_threads_for_json() {
    let redis = RedisServer::start(&[]);
    let settings = [
        ("LTM__API__JSON_THREADS", "1"),
        ("LTM__API__JSON_WAIT", "1ms"),
    ];
    let service = Service::api(&redis.url(), &settings);
    let api = Api::at(&service);
    let (small, _) = api.create(json!({"n": 0})).await;
    let state = format!(r#"{{"a":{}}}"#, numbers(size(1_000_000), |n| n as u64));
    let body = format!(r#"{{"fqn":"tests.Large","state":{state}}}"#);
    let created = api.post_text("/ltm", &body, &[]).await.expect(200);
    let path = format!("/ltm/{}/state", created["id"]);
    let busy = tokio::spawn({
        let api = api.clone();
        async move {
            loop {
                join_all((0..2).map(|_| api.post_text("/ltm", &body, &[]))).await;
            }
        }
    });
    let refused = until("a reader finds the thread busy", async || {
        let answer = api.get(&path).await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    refused.problem(503, "over-limit");
    api.get(&format!("/ltm/{small}/state")).await.expect(200);
    busy.abort();
    until("the state is read when the thread is free", async || {
        api.get(&path).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_waits_for_a_thread_only_so_long() {
    let redis = RedisServer::start(&[]);
    let settings = [
        ("LTM__API__JSON_THREADS", "1"),
        ("LTM__API__JSON_WAIT", "1ms"),
    ];
    let service = Service::api(&redis.url(), &settings);
    let api = Api::at(&service);
    let body = format!(
        r#"{{"fqn":"tests.Large","state":{{"a":{}}}}}"#,
        numbers(size(1_000_000), |n| n as u64)
    );
    let creations = (0..6).map(|_| api.post_text("/ltm", &body, &[]));
    let answers = join_all(creations).await;
    let refused = answers.into_iter().find(|answer| answer.status == 503);
    let refused = refused.expect("one of them finds the thread busy");
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(503, "over-limit");
    service.until_logged("api.json_wait").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_is_inflated_up_to_the_limit_of_a_body() {
    let target = Target::start();
    let id = target.create("an empty state", "{}").await;
    let mut spaces = GzEncoder::new(Vec::new(), Compression::best());
    spaces.write_all(&vec![b' '; 7 * MIB]).unwrap();
    let large = spaces.finish().unwrap();
    // Each of these members becomes nothing.
    let empty = GzEncoder::new(Vec::new(), Compression::best())
        .finish()
        .unwrap();
    for (what, member) in [("large members", large), ("empty members", empty)] {
        let body = member.repeat(8 * MIB / member.len());
        let bomb = async || {
            let request = target
                .api
                .request(Method::POST, &format!("/ltm/{id}/snapshots"))
                .header("content-type", "application/json")
                .header("content-encoding", "gzip")
                .body(body);
            target.api.send(request).await
        };
        let answer = within_budget(what, &target.api_service, bomb).await;
        assert!(
            [413, 422].contains(&answer.status.as_u16()),
            "{}",
            answer.text
        );
    }
}

/// A client of AG-UI that asks for the run of an LTM.
fn ask_for_run(target: &Target, id: u64, body: String) -> RequestBuilder {
    Client::new()
        .post(format!("{}/agui/{id}", target.gateway.http()))
        .header("content-type", "application/json")
        .body(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_ag_ui_share_a_large_state_and_what_is_made_of_it() {
    let target = Target::start();
    let state = format!(r#"{{"a":{}}}"#, numbers(size(1_200_000), |_| 0));
    let id = target.create("an array of zeros", &state).await;
    let input = r#"{"threadId":"t","runId":"r"}"#;
    let read = async || {
        let runs = (0..16).map(|_| async {
            let mut events = Events::open(ask_for_run(&target, id, input.into())).await;
            while !events.next().await.unwrap().data.contains("STATE_SNAPSHOT") {}
        });
        join_all(runs).await;
    };
    within_budget("16 runs of AG-UI", &target.gateway, read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_of_a_run_costs_what_it_sends() {
    let target = Target::start();
    let id = target.create("an empty state", "{}").await;
    let max = size(8 * MIB) - 64;
    for (what, body) in [
        (
            "deep messages",
            format!(r#"{{"messages":{}"#, "[".repeat(max)),
        ),
        (
            "a large thread id",
            format!(r#"{{"threadId":"{}"}}"#, "t".repeat(max)),
        ),
        (
            "many members",
            format!("{{{}}}", vec![r#""a":0"#; max / 6].join(",")),
        ),
    ] {
        let ask = async || {
            ask_for_run(&target, id, body)
                .send()
                .await
                .unwrap()
                .status()
        };
        let status = within_budget(what, &target.gateway, ask).await;
        assert!(
            [200, 413, 422].contains(&status.as_u16()),
            "{what}: {status}"
        );
    }
}
