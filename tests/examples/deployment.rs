//! A deployment on this machine with the small troubles of a working day, for whoever looks at its metrics: Redis, two
//! APIs, three gateways, and HAProxy with the configuration that is deployed.
//!
//! `cargo run --package ltm-tests --example deployment -- target/dashboard 600` writes into that folder what Prometheus
//! scrapes (`api.json`, `gateway.json`) and, once all is ready, HAProxy's URL (`url`). After four tenths of the 600 seconds
//! a gateway is drained and started again, after seven tenths Redis cuts the live connections. It goes on until its
//! standard input ends.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, io, path::Path, time::Duration};

use ltm_tests::{Api, Haproxy, Heard, RedisServer, Service, Subscriber};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

/// A body of a mebibyte is too large; of each LTM a thousand entries are kept.
const SETTINGS: [(&str, &str); 2] = [
    ("LTM__API__MAX_BODY", "1 MiB"),
    ("LTM__RETENTION__MAX_ENTRIES", "1000"),
];

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .expect("a folder for what Prometheus reads");
    let seconds: u32 = arguments.next().expect("the seconds").parse().unwrap();
    let length = Duration::from_secs(seconds.into());
    let redis = RedisServer::start(&[]);
    let apis: Vec<_> = (0..2)
        .map(|_| Service::api(&redis.url(), &SETTINGS))
        .collect();
    let gateways: Vec<_> = (0..3)
        .map(|_| Service::gateway(&redis.url(), &[]))
        .collect();
    let haproxy = Haproxy::start(
        &apis.iter().collect::<Vec<_>>(),
        &gateways.iter().collect::<Vec<_>>(),
    );
    let api = Api::at_url(&haproxy.http());
    until_all_are_ready(&haproxy, apis.len(), gateways.len()).await;

    let mut work = JoinSet::new();
    work.spawn(agents(api.clone(), haproxy.ws("/ws")));
    work.spawn(rivals(Api::at(&apis[0]), Api::at(&apis[1])));
    work.spawn(visitors(api.clone(), haproxy.ws("/ws")));
    work.spawn(mistakes(api.clone()));
    work.spawn(dawdlers(api, gateways[1].address().to_owned()));
    write_targets(Path::new(&folder), "api", &apis);
    write_targets(Path::new(&folder), "gateway", &gateways);
    fs::write(Path::new(&folder).join("url"), haproxy.http()).expect("a file can be written");
    work.spawn(incidents(redis, gateways, length));

    tokio::select! {
        _ = end_of_input() => {}
        ended = work.join_next() => panic!("work without an end has ended: {ended:?}"),
    }
    work.shutdown().await;
}

/// On a thread that nobody waits for: a read cannot be called off.
fn end_of_input() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    end
}

/// HAProxy sends to all of them.
async fn until_all_are_ready(haproxy: &Haproxy, apis: usize, gateways: usize) {
    for number in 0..apis {
        haproxy
            .until_seen("api", &format!("api{number}"), "UP")
            .await;
    }
    for number in 0..gateways {
        let name = format!("gateway{number}");
        haproxy.until_seen("gateway", &name, "UP").await;
    }
}

/// A file for `file_sd_configs`. Each service is called as HAProxy calls it.
fn write_targets(folder: &Path, job: &str, services: &[Service]) {
    let target = |(number, service): (usize, &Service)| json!({"targets": [service.address()], "labels": {"instance": format!("{job}{number}")}});
    let targets: Value = services.iter().enumerate().map(target).collect();
    let file = folder.join(format!("{job}.json"));
    fs::write(file, targets.to_string()).expect("a file can be written");
}

async fn pause(milliseconds: u64) {
    sleep(Duration::from_millis(fastrand::u64(0..2 * milliseconds))).await;
}

/// Agents of which each takes some steps, fails, goes back and goes on; then it is deleted before its subscriber.
async fn agents(api: Api, ws: String) {
    let mut running = JoinSet::new();
    loop {
        running.spawn(agent(api.clone(), ws.clone()));
        if running.len() > 7 {
            let ended = running.join_next().await;
            ended.expect("there is one").expect("an agent's whole life");
        }
        pause(500).await;
    }
}

async fn agent(api: Api, ws: String) {
    let (id, _) = api.create(json!({"step": 0, "text": ""})).await;
    let connected = Subscriber::connect(&format!("{ws}/{id}?after=0")).await;
    let mut subscriber = connected.expect("a gateway is there");
    for step in 1..40 {
        let text = "word ".repeat(fastrand::usize(1..60));
        api.append(id, json!({"merge": {"step": step, "text": text}}))
            .await;
        if step % 13 == 0 {
            let error = json!({
                "id": format!("error-{step}"), "reason": "execute", "item": step,
                "retries": 1, "retrying": true, "success": false,
            });
            api.post(&format!("/ltm/{id}/errors"), &error).await;
            let back = json!({"snapshot": {"index": step / 2}});
            api.post(&format!("/ltm/{id}/rollback"), &back).await;
        }
        pause(150).await;
    }
    api.send(api.request(Method::DELETE, &format!("/ltm/{id}")))
        .await;
    while let Heard::Message(_) = subscriber.hear().await {}
}

/// Two engines that write to one LTM, each at another API: one is often too late, and tries again.
async fn rivals(one: Api, other: Api) {
    let (id, _) = one.create(json!({})).await;
    let write = |api: Api, name: &'static str| async move {
        for number in 0.. {
            api.append(id, json!({"merge": {name: number}})).await;
            pause(250).await;
        }
    };
    tokio::join!(write(one, "one"), write(other, "other"));
}

/// People who open a page: the list, a document, and its history until they are live. Some come with a cursor that is
/// none of this log's.
async fn visitors(api: Api, ws: String) {
    for number in 1.. {
        let list = api.get("/ltm?limit=5").await.expect(200);
        let rows = list.as_array().cloned().unwrap_or_default();
        if let Some(id) = fastrand::choice(rows).and_then(|row| row["id"].as_u64()) {
            read(&api, id).await;
            let after = if number % 200 == 0 { "2-2" } else { "0" };
            visit(&format!("{ws}/{id}?after={after}&live=1")).await;
        }
        pause(400).await;
    }
}

/// The document, which may be deleted while it is read.
async fn read(api: &Api, id: u64) {
    let request = api.request(Method::GET, &format!("/ltm/{id}"));
    if let Ok(answer) = request.send().await {
        let _ = answer.bytes().await;
    }
}

async fn visit(url: &str) {
    let Ok(mut subscriber) = Subscriber::connect(url).await else {
        return;
    };
    while let Heard::Message(message) = subscriber.hear().await {
        if message.get("live").is_some() {
            return subscriber.leave().await;
        }
    }
}

/// Calls that are refused: of an LTM that is not there, with a patch that does not apply, with too large a body.
async fn mistakes(api: Api) {
    let (id, _) = api.create(json!({})).await;
    let path = format!("/ltm/{id}/snapshots");
    let large = json!({"reason": "execute", "state": {"text": "x".repeat(2 << 20)}});
    let wrong = json!({"reason": "execute", "patch": [{"op": "remove", "path": "/nothing"}]});
    for number in 0.. {
        let request = match number % 8 {
            0 => api.request(Method::POST, &path).json(&large),
            1 | 2 => api.request(Method::POST, &path).json(&wrong),
            _ => api.request(Method::GET, "/ltm/999999999"),
        };
        // Who sends too much may be cut off before it has read why.
        let _ = request.send().await;
        pause(1000).await;
    }
}

/// Subscribers that read nothing for a while, of an LTM whose entries are large.
async fn dawdlers(api: Api, gateway: String) {
    let (id, _) = api.create(json!({})).await;
    let path = format!("/ws/{id}?init=state");
    loop {
        pause(30_000).await;
        let slow = Subscriber::with_buffer(&gateway, &path, 8192).await;
        for number in 0..60 {
            let text = format!("{number} {}", "x".repeat(32 << 10));
            api.append(id, json!({"merge": {"text": text}})).await;
            pause(100).await;
        }
        drop(slow);
    }
}

/// What an operator does, or what breaks: a gateway is drained and started again in its place, and the live connections
/// to Redis are cut.
async fn incidents(redis: RedisServer, mut gateways: Vec<Service>, length: Duration) {
    sleep(length * 4 / 10).await;
    let address = gateways[0].address().to_owned();
    gateways[0].signal("TERM");
    while gateways[0].ended().is_none() {
        sleep(Duration::from_millis(100)).await;
    }
    gateways[0] = Service::gateway(&redis.url(), &[("LTM__GATEWAY__LISTEN", &address)]);
    sleep(length * 3 / 10).await;
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    std::future::pending().await
}
