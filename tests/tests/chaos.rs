//! Producers, subscribers and faults together; at the end it is proved that nothing was lost, doubled
//! or wrong.
//!
//! `make chaos` runs it longer: `LTM_CHAOS_SEED` and `LTM_CHAOS_SECONDS` say which faults and how long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::{
    collections::HashMap,
    fmt,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures_util::future::join_all;
use ltm_tests::{
    Api, Heard, LIMIT, Network, RedisServer, Service, Subscriber, apply, binary, same,
};
use ltm_types::Cursor;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// How long the faults go on where nothing is said.
const SECONDS: u64 = 12;
/// The LTMs, and the producers and subscribers of each.
const LTMS: usize = 2;
const PRODUCERS: usize = 3;
const SUBSCRIBERS: usize = 3;
/// How long a producer waits for an answer, and a subscriber for a message.
const PATIENCE: Duration = Duration::from_secs(2);
/// The events before a failure that are shown.
const STORY: usize = 40;

/// What happened, in order.
#[derive(Clone)]
struct Story {
    began: Instant,
    events: Arc<Mutex<Vec<String>>>,
}

impl Story {
    fn tell(&self, event: impl fmt::Display) {
        let at = self.began.elapsed().as_secs_f64();
        self.events
            .lock()
            .unwrap()
            .push(format!("{at:7.3} {event}"));
    }

    /// Fails, with the faults and the last events that have to do with `about`.
    fn fail(&self, seed: u64, about: &str, what: &str) -> ! {
        let events = self.events.lock().unwrap();
        let told: Vec<&String> = events
            .iter()
            .filter(|event| event.contains("FAULT") || event.contains(about))
            .collect();
        for event in &told[told.len().saturating_sub(STORY)..] {
            eprintln!("{event}");
        }
        panic!("seed {seed}: {what}");
    }
}

/// Who runs: two of each service, every connection over a network that can fail.
struct World {
    redis: RedisServer,
    apis: Vec<Behind>,
    gateways: Vec<Behind>,
}

/// A service behind two networks: one to Redis, one to its clients.
struct Behind {
    service: Service,
    to_redis: Network,
    to_clients: Network,
}

const SETTINGS: &[(&str, &str)] = &[
    ("LTM__REDIS__RESPONSE_TIMEOUT", "1s"),
    ("LTM__REDIS__CONNECT_TIMEOUT", "1s"),
    ("LTM__API__CHECKPOINT_EVERY", "50"),
    ("LTM__GATEWAY__SWEEP_INTERVAL", "1s"),
];

impl Behind {
    async fn start(redis: &RedisServer, make: fn(&str, &[(&str, &str)]) -> Service) -> Self {
        let to_redis = Network::to(&redis.address()).await;
        let service = make(&format!("redis://{}/0", to_redis.address()), SETTINGS);
        let to_clients = Network::to(service.address()).await;
        Self {
            service,
            to_redis,
            to_clients,
        }
    }

    /// Ends the service as a crash would, and starts it again elsewhere.
    fn restart(&mut self, make: fn(&str, &[(&str, &str)]) -> Service) {
        self.service.kill();
        self.service = make(&format!("redis://{}/0", self.to_redis.address()), SETTINGS);
        self.to_clients.lead_to(self.service.address());
    }
}

impl World {
    async fn start() -> Self {
        let redis = RedisServer::start(&["--appendfsync", "always"]);
        let mut world = Self {
            apis: Vec::new(),
            gateways: Vec::new(),
            redis,
        };
        for _ in 0..2 {
            world
                .apis
                .push(Behind::start(&world.redis, Service::api).await);
            world
                .gateways
                .push(Behind::start(&world.redis, Service::gateway).await);
        }
        world
    }

    fn api_urls(&self) -> Vec<String> {
        let url = |api: &Behind| format!("http://{}", api.to_clients.address());
        self.apis.iter().map(url).collect()
    }

    fn gateway_urls(&self) -> Vec<String> {
        let url = |gateway: &Behind| format!("ws://{}", gateway.to_clients.address());
        self.gateways.iter().map(url).collect()
    }

    /// One of the networks of a service.
    fn network(&self, which: usize, rng: &mut Rng) -> (String, &Network) {
        let (service, side) = if rng.bool() {
            ("API", &self.apis)
        } else {
            ("gateway", &self.gateways)
        };
        let behind = &side[which];
        if rng.bool() {
            (
                format!("the network from {service} {which} to Redis"),
                &behind.to_redis,
            )
        } else {
            (
                format!("the network to {service} {which}"),
                &behind.to_clients,
            )
        }
    }

    /// One fault, begun and ended.
    async fn fault(&mut self, rng: &mut Rng, story: &Story) {
        let which = rng.usize(..2);
        let pause = Duration::from_millis(rng.u64(20..1500));
        match rng.usize(..12) {
            0 => {
                story.tell(format_args!("FAULT API {which} is killed"));
                self.apis[which].restart(Service::api);
            }
            1 => {
                story.tell(format_args!("FAULT gateway {which} is killed"));
                self.gateways[which].restart(Service::gateway);
            }
            2 => {
                story.tell(format_args!("FAULT Redis is killed for {pause:?}"));
                self.redis.kill();
                sleep(pause).await;
                self.redis.restart();
            }
            3 => {
                story.tell(format_args!("FAULT Redis is paused for {pause:?}"));
                self.redis.pause();
                sleep(pause).await;
                self.redis.resume();
            }
            4 => {
                let (name, network) = self.network(which, rng);
                story.tell(format_args!("FAULT connections over {} are cut", name));
                network.cut();
            }
            5 => {
                let (name, network) = self.network(which, rng);
                story.tell(format_args!(
                    "FAULT {} holds everything for {pause:?}",
                    name
                ));
                network.hold();
                sleep(pause).await;
                network.release();
            }
            6 => {
                let (name, network) = self.network(which, rng);
                story.tell(format_args!(
                    "FAULT {} refuses connections for {pause:?}",
                    name
                ));
                network.refuse(true);
                network.cut();
                sleep(pause).await;
                network.refuse(false);
            }
            // The others take longer: this one is as frequent as all of them in time.
            _ => {
                story.tell("FAULT Redis drops whoever listens");
                self.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
        }
        story.tell("FAULT is over");
    }
}

/// A write that was acknowledged.
#[derive(Clone, Debug)]
struct Write {
    key: String,
    /// The cursor that the API answered with.
    cursor: String,
}

/// Writes until it is told to stop, each write until it is answered.
async fn produce(
    id: u64,
    name: usize,
    urls: Vec<String>,
    stop: Arc<AtomicBool>,
    story: Story,
) -> Vec<Write> {
    let apis: Vec<Api> = urls
        .iter()
        .map(|url| Api::impatient(url, PATIENCE))
        .collect();
    let mut writes = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let key = format!("{id}-{name}-{number}");
        let cursor = write(id, &key, number, &apis).await;
        story.tell(format_args!("LTM {id}: {key} at {cursor}"));
        writes.push(Write { key, cursor });
    }
    writes
}

/// One write, sent again with its key until it is answered; gives the cursor.
async fn write(id: u64, key: &str, number: usize, apis: &[Api]) -> String {
    // Every now and then back to the beginning of what there is.
    let (path, body) = if number % 40 == 39 {
        ("rollback", json!({"snapshot": {"index": 0}}))
    } else {
        let change = json!({"op": "add", "path": format!("/{}", number % 5), "value": key});
        (
            "snapshots",
            json!({"reason": "execute", "item": {"key": key}, "patch": [change]}),
        )
    };
    let began = Instant::now();
    for attempt in 0.. {
        assert!(began.elapsed() < LIMIT, "{key} is never answered");
        let request = apis[attempt % apis.len()]
            .request(reqwest::Method::POST, &format!("/ltm/{id}/{path}"))
            .header("Idempotency-Key", key)
            .json(&body);
        let answer = match request.send().await {
            Ok(response) if response.status().is_success() => response.json::<Value>().await.ok(),
            Ok(response) => {
                assert_eq!(response.status(), 503, "{:?}", response.text().await);
                None
            }
            Err(_) => None,
        };
        if let Some(answer) = answer {
            return answer["cursor"].as_str().unwrap().to_owned();
        }
        sleep(Duration::from_millis(20)).await;
    }
    unreachable!("there is always another attempt")
}

/// What a subscriber saw: each cursor, and the state that it held then.
struct Seen {
    entries: Vec<(Cursor, Value)>,
    resets: Vec<Value>,
}

/// Follows until it is at `end`, which is known once the producers have stopped.
async fn subscribe(
    id: u64,
    urls: Vec<String>,
    end: Arc<Mutex<Option<Cursor>>>,
    story: Story,
) -> Seen {
    let mut seen = Seen {
        entries: Vec::new(),
        resets: Vec::new(),
    };
    let mut cursor = Cursor::ORIGIN;
    let mut state = json!({});
    for url in urls.iter().cycle() {
        if *end.lock().unwrap() == Some(cursor) {
            return seen;
        }
        let url = format!("{url}/ws/{id}?after={cursor}");
        let Ok(Ok(mut subscriber)) = timeout(PATIENCE, Subscriber::connect(&url)).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        while let Ok(Heard::Message(message)) = timeout(PATIENCE, subscriber.hear()).await {
            cursor = message["cursor"].as_str().unwrap().parse().unwrap();
            if let Some(reset) = message.get("reset") {
                state = reset["state"].clone();
                seen.resets.push(message.clone());
            } else {
                let change = message.get("snapshot").or(message.get("rollback"));
                let applied = apply(&mut state, &change.unwrap()["patch"]);
                applied.unwrap_or_else(|e| {
                    story.tell(format_args!("LTM {id}: {e} in {message}"));
                });
            }
            seen.entries.push((cursor, state.clone()));
            if *end.lock().unwrap() == Some(cursor) {
                return seen;
            }
        }
    }
    seen
}

/// The log as it is in Redis: each cursor, the key of the write, and the state after it.
fn read_log(redis: &RedisServer, id: u64) -> Vec<(Cursor, Option<String>, Value)> {
    let text = redis.cli(&["--json", "XRANGE", &format!("ltm:{{{id}}}:log"), "-", "+"]);
    let entries: Vec<(String, [String; 2])> = serde_json::from_str(&text).unwrap();
    let mut state = json!({});
    let read = |(cursor, [_, payload]): (String, [String; 2])| {
        let payload: Value = serde_json::from_str(&payload).unwrap();
        let change = payload.get("rollback").unwrap_or(&payload);
        apply(&mut state, &change["patch"]).unwrap();
        let key = payload["item"]["key"].as_str().map(str::to_owned);
        (cursor.parse().unwrap(), key, state.clone())
    };
    entries.into_iter().map(read).collect()
}

/// Everything that is to be proved about one LTM.
fn check(
    seed: u64,
    id: u64,
    log: &[(Cursor, Option<String>, Value)],
    writes: &[Write],
    seen: &[Seen],
    story: &Story,
) {
    let about = format!("LTM {id}:");
    let places: HashMap<String, usize> = log
        .iter()
        .enumerate()
        .map(|(place, (cursor, ..))| (cursor.to_string(), place))
        .collect();
    let mut landed: HashMap<&str, usize> = HashMap::new();
    for key in log.iter().filter_map(|(_, key, _)| key.as_deref()) {
        *landed.entry(key).or_default() += 1;
    }
    for Write { key, cursor } in writes {
        if !places.contains_key(cursor) {
            let what = format!("{key} was acknowledged at {cursor} and is not in the log");
            story.fail(seed, &about, &what);
        }
        if landed.get(key.as_str()).is_some_and(|times| *times > 1) {
            story.fail(seed, &about, &format!("{key} landed more than once"));
        }
    }
    // The creation is the first.
    if log.len() != writes.len() + 1 {
        let (are, writes) = (log.len() - 1, writes.len());
        let what = format!("{writes} writes were acknowledged, and {are} are in the log");
        story.fail(seed, &about, &what);
    }
    for (number, seen) in seen.iter().enumerate() {
        if let Some(reset) = seen.resets.first() {
            story.fail(
                seed,
                &about,
                &format!("subscriber {number} got a reset for no reason: {reset}"),
            );
        }
        if seen.entries.len() != log.len() {
            let (saw, are) = (seen.entries.len(), log.len());
            story.fail(
                seed,
                &about,
                &format!("subscriber {number} saw {saw} entries of {are}"),
            );
        }
        for ((cursor, state), (at, _, truth)) in seen.entries.iter().zip(log) {
            if cursor != at {
                story.fail(
                    seed,
                    &about,
                    &format!("subscriber {number} saw {cursor} in place of {at}"),
                );
            }
            if !same(state, truth) {
                story.fail(
                    seed,
                    &about,
                    &format!("subscriber {number} holds {state} at {cursor}, which is {truth}"),
                );
            }
        }
    }
}

async fn chaos(seed: u64, seconds: u64) {
    eprintln!("LTM_CHAOS_SEED={seed} LTM_CHAOS_SECONDS={seconds}");
    let story = Story {
        began: Instant::now(),
        events: Arc::default(),
    };
    let mut rng = Rng::with_seed(seed);
    let mut world = World::start().await;
    let direct = Api::at(&world.apis[0].service);
    let mut ids = Vec::new();
    for _ in 0..LTMS {
        ids.push(direct.create(json!({})).await.0);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let ends: Vec<Arc<Mutex<Option<Cursor>>>> = ids.iter().map(|_| Arc::default()).collect();
    let mut producers = Vec::new();
    let mut subscribers = Vec::new();
    for (&id, end) in ids.iter().zip(&ends) {
        let produce = |name| {
            tokio::spawn(produce(
                id,
                name,
                world.api_urls(),
                stop.clone(),
                story.clone(),
            ))
        };
        producers.push((0..PRODUCERS).map(produce).collect::<Vec<_>>());
        let subscribe = |number: usize| {
            let mut urls = world.gateway_urls();
            urls.rotate_left(number % 2);
            tokio::spawn(subscribe(id, urls, end.clone(), story.clone()))
        };
        subscribers.push((0..SUBSCRIBERS).map(subscribe).collect::<Vec<_>>());
    }
    let limit = Duration::from_secs(seconds);
    while story.began.elapsed() < limit {
        world.fault(&mut rng, &story).await;
        sleep(Duration::from_millis(rng.u64(0..400))).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut entries = 0;
    for (((id, producers), subscribers), end) in
        ids.iter().zip(producers).zip(subscribers).zip(&ends)
    {
        let writes: Vec<Write> = join_all(producers)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        let log = read_log(&world.redis, *id);
        *end.lock().unwrap() = log.last().map(|(cursor, ..)| *cursor);
        let about = format!("LTM {id}:");
        let Ok(seen) = timeout(LIMIT, join_all(subscribers)).await else {
            story.fail(
                seed,
                &about,
                &format!("a subscriber of LTM {id} does not arrive at its end"),
            );
        };
        let seen: Vec<Seen> = seen.into_iter().map(Result::unwrap).collect();
        check(seed, *id, &log, &writes, &seen, &story);
        entries += log.len();
    }
    let verified = Command::new(binary("ltm"))
        .args(["verify", "--all", "--redis", &world.redis.url()])
        .output()
        .unwrap();
    assert!(verified.status.success(), "seed {seed}: {verified:?}");
    let events = story.events.lock().unwrap();
    let faults = events
        .iter()
        .filter(|event| event.contains("FAULT is over"))
        .count();
    eprintln!("{faults} faults, {entries} entries, each seen once by {SUBSCRIBERS} subscribers");
    assert!(faults > 0 && entries > 10, "nothing happened");
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_a_known_seed_lose_nothing_and_mislead_nobody() {
    chaos(1, setting("LTM_CHAOS_SECONDS").unwrap_or(SECONDS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_any_seed_lose_nothing_and_mislead_nobody() {
    let seed = setting("LTM_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    chaos(seed, setting("LTM_CHAOS_SECONDS").unwrap_or(SECONDS)).await;
}
