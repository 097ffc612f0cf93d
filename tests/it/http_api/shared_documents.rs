//! Documents that answers share: each is the document that the log gives, and they take bounded memory.

use std::time::Duration;

use flate2::read::GzDecoder;
use futures_util::future::join_all;
use ltm_tests::{Api, RawConnection, RedisServer, Scrape, Service, until};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

/// How many histories are tried, unless `PROPTEST_CASES` is set.
const CASES: u32 = 8;

/// What is done. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Batch(usize),
    Rollback(u64),
    Undo(u64),
    Error(u8),
    Read,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        // Some are larger than a part of a document.
        4 => prop_oneof![9 => 0..200_usize, 1 => 30_000..70_000_usize].prop_map(Act::Append),
        2 => (1..40_usize).prop_map(Act::Batch),
        2 => any::<u64>().prop_map(Act::Rollback),
        1 => any::<u64>().prop_map(Act::Undo),
        1 => (0..3_u8).prop_map(Act::Error),
        4 => Just(Act::Read),
    ];
    prop::collection::vec(act, 1..30)
}

/// An API that shares documents, and one that reads each from the log.
struct World {
    _redis: RedisServer,
    _services: [Service; 2],
    sharing: Api,
    reading: Api,
}

impl World {
    fn start() -> Self {
        let redis = RedisServer::start(&[]);
        let settings = [
            ("LTM__API__RETENTION_INTERVAL", "100ms"),
            ("LTM__API__DOCUMENT_CACHE", "0B"),
        ];
        let services = [
            Service::api(&redis.url(), &settings[..1]),
            Service::api(&redis.url(), &settings),
        ];
        Self {
            sharing: Api::at(&services[0]),
            reading: Api::at(&services[1]),
            _services: services,
            _redis: redis,
        }
    }

    async fn act(&self, id: u64, act: &Act) {
        let path = |what: &str| format!("/ltm/{id}/{what}");
        // Either service may write.
        let api = [&self.sharing, &self.reading][fastrand::usize(..2)];
        let line = |bytes| json!({"reason": "execute", "merge": {"text": "x".repeat(bytes)}});
        let answer = match act {
            Act::Append(bytes) => api.post(&path("snapshots"), &line(*bytes)).await,
            Act::Batch(count) => {
                let lines: Vec<Value> = (0..*count).map(line).collect();
                let batch = json!({"snapshots": lines});
                api.post(&path("snapshots"), &batch).await
            }
            Act::Rollback(n) => {
                let page = api.get(&path("snapshots?limit=1")).await.expect(200);
                let count = page["snapshots_count"].as_u64().unwrap().max(1);
                let back = json!({"snapshot": {"index": n % count}});
                api.post(&path("rollback"), &back).await
            }
            Act::Undo(n) => {
                let page = api.get(&path("rollbacks?limit=1")).await.expect(200);
                let count = page["rollbacks_count"].as_u64().unwrap().max(1);
                let back = json!({"rollback": {"index": n % count}});
                api.post(&path("rollback"), &back).await
            }
            Act::Error(which) => {
                let error = format!("00000000-0000-4000-8000-00000000000{which}");
                let body = json!({"id": error, "reason": "execute", "item": "x".repeat(50)});
                api.post(&path("errors"), &body).await
            }
            Act::Read => return self.compare(id).await,
        };
        // What retention has removed cannot be gone back to.
        assert!(answer.status.is_success() || answer.status == 422);
    }

    /// What the API that shares documents answers is what the other one answers. Retention may trim the log at any time.
    async fn compare(&self, id: u64) {
        for (method, coding, knows) in [
            (Method::GET, "identity", false),
            (Method::GET, "gzip", false),
            (Method::GET, "zstd", false),
            (Method::HEAD, "gzip", false),
            (Method::GET, "gzip", true),
        ] {
            until("two answers from the log are the same", async || {
                let known = if knows {
                    self.tag(id).await?
                } else {
                    String::new()
                };
                let read = async |api| read(api, &method, id, coding, &known).await;
                let before = read(&self.reading).await?;
                let shared = read(&self.sharing).await?;
                let after = read(&self.reading).await?;
                (before == after)
                    .then(|| assert!(shared == after, "{method} {coding}: {shared:?} {after:?}"))
            })
            .await;
        }
    }

    /// The tag of the document.
    async fn tag(&self, id: u64) -> Option<String> {
        let request = self.reading.request(Method::HEAD, &format!("/ltm/{id}"));
        let response = request.send().await.unwrap();
        let tag = response.headers().get("etag")?.to_str().unwrap();
        Some(tag.to_owned())
    }
}

/// The status of an answer to a client with the document of this tag, its headers but for those of one answer only, and its text. `None` if it broke off, because the
/// log was trimmed while it was sent.
async fn read(
    api: &Api,
    method: &Method,
    id: u64,
    coding: &str,
    known: &str,
) -> Option<(u16, Vec<(String, String)>, String)> {
    let request = api.request(method.clone(), &format!("/ltm/{id}"));
    let request = request.header("accept-encoding", coding);
    let response = request.header("if-none-match", known).send();
    let response = response.await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.ok()?;
    if body.is_empty() {
        return Some((status, own(&headers), String::new()));
    }
    let text = match headers.get("content-encoding").map(|it| it.as_bytes()) {
        Some(b"gzip") => std::io::read_to_string(GzDecoder::new(&*body)).unwrap(),
        Some(b"zstd") => String::from_utf8(zstd::decode_all(&*body).unwrap()).unwrap(),
        _ => String::from_utf8(body.into()).unwrap(),
    };
    Some((status, own(&headers), text))
}

fn own(headers: &HeaderMap) -> Vec<(String, String)> {
    let each = ["date", "x-request-id"];
    let mut own: Vec<(String, String)> = headers
        .iter()
        .filter(|(name, _)| !each.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    own.sort();
    own
}

/// An LTM whose log has this many snapshots.
async fn ltm(api: &Api, snapshots: usize, bytes: usize) -> u64 {
    let (id, _) = api.create(json!({})).await;
    // The same text again would change nothing, and its patch would be empty.
    let line = |n: usize| {
        let text = format!("{n}{}", "x".repeat(bytes));
        json!({"reason": "execute", "merge": {"text": text}})
    };
    let lines: Vec<Value> = (1..snapshots).map(line).collect();
    let batch = json!({"snapshots": lines});
    let batch = api.post(&format!("/ltm/{id}/snapshots"), &batch).await;
    batch.expect(201);
    id
}

#[test]
fn whatever_is_done_a_shared_document_is_the_one_in_the_log() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = World::start();
    let mut runner = TestRunner::new(Config {
        cases: std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap()),
        max_shrink_iters: 50,
        ..Config::default()
    });
    let retention = prop::option::of(1u64..12);
    let outcome = runner.run(&(acts(), retention), |(acts, max_entries)| {
        runtime.block_on(async {
            let body = json!({"fqn": "tests.Shared", "state": {}, "retention": {"max_entries": max_entries}});
            let api = &world.sharing;
            let created = api.post("/ltm", &body).await.expect(200);
            let id = created["id"].as_u64().unwrap();
            for act in &acts {
                world.act(id, act).await;
            }
            world.compare(id).await;
            let path = format!("/ltm/{id}");
            let delete = world.reading.request(Method::DELETE, &path);
            api.send(delete).await.expect(200);
            let gone = api.get(&path).await;
            gone.problem(410, "deleted-ltm");
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_arrive_together_share_one_reading_of_the_log() {
    let redis = RedisServer::start(&[]);
    let writer = Service::api(&redis.url(), &[]);
    let id = ltm(&Api::at(&writer), 1000, 200).await;
    // However busy the machine is, all of them wait for the first one.
    let patience = [
        ("LTM__API__LOCK_WAIT", "1m"),
        ("LTM__HTTP__HEADER_TIMEOUT", "1m"),
    ];
    let fresh = Service::api(&redis.url(), &patience);
    let api = Api::at(&fresh);
    let open = || read(&api, &Method::GET, id, "identity", "");
    let answers = join_all((0..40).map(|_| open())).await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert!(answers[0].as_ref().unwrap().2.len() > 200_000);
    let scrape = Scrape::of(&fresh).await;
    assert_eq!(scrape.value("ltm_document_cache_misses_total"), 1.0);
    assert_eq!(scrape.value("ltm_document_cache_hits_total"), 39.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_is_added_without_reading_the_log_again() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let id = ltm(&api, 1000, 200).await;
    let length = read(&api, &Method::GET, id, "identity", "")
        .await
        .unwrap()
        .2
        .len();
    let before = redis.info("stats", "total_net_output_bytes");
    for n in 0..10 {
        api.append(id, json!({"merge": {"n": n}})).await;
        let document = api.document(id).await;
        assert_eq!(document["state"]["n"], n);
        assert_eq!(document["snapshots"].as_array().unwrap().len(), 1001 + n);
    }
    let sent = redis.info("stats", "total_net_output_bytes") - before;
    assert!(
        sent < length as u64,
        "{sent} bytes of a document of {length}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slow_clients_hold_of_documents_stays_within_the_limit() {
    const LIMIT: f64 = 4.0 * 1024.0 * 1024.0;
    let redis = RedisServer::start(&[]);
    let service = Service::api(
        &redis.url(),
        &[
            ("LTM__API__DOCUMENT_CACHE", "4MiB"),
            ("LTM__HTTP__SEND_BUFFER", "4KiB"),
            // However long the test takes, they are not cut.
            ("LTM__HTTP__MIN_PROGRESS", "0"),
        ],
    );
    let api = Api::at(&service);
    let mut slow = Vec::new();
    // Each has a document of its own in front of it.
    for n in 0..24 {
        let id = ltm(&api, 3, 100_000).await;
        let mut reader = RawConnection::with_small_buffer(service.address()).await;
        let request = format!("GET /api/v0/ltm/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        reader.send(request.as_bytes()).await.unwrap();
        assert!(reader.head().await.starts_with("HTTP/1.1 200 "));
        slow.push(reader);
        let held = Scrape::of(&service).await.value("ltm_document_cache_bytes");
        assert!(held <= LIMIT && (n > 10 || held > 100_000.0), "{held}");
    }
    // What does not fit is read from the log, and is whole.
    let id = ltm(&api, 3, 100_000).await;
    let misses = async || {
        Scrape::of(&service)
            .await
            .value("ltm_document_cache_misses_total")
    };
    let before = misses().await;
    let document = api.document(id).await;
    assert_eq!(document["snapshots"].as_array().unwrap().len(), 3);
    assert_eq!(
        misses().await,
        before,
        "slow clients hold all of the memory"
    );
    drop(slow);
    until("what they held is free", async || {
        api.document(id).await;
        misses().await > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_begins_with_a_large_state_leaves_the_memory_to_others() {
    let redis = RedisServer::start(&[]);
    let settings = [
        ("LTM__API__DOCUMENT_CACHE", "1MiB"),
        ("LTM__RETENTION__MAX_ENTRIES", "20"),
    ];
    let service = Service::api(&redis.url(), &settings);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({"large": "x".repeat(400_000)})).await;
    for n in 0..200 {
        api.append(id, json!({"merge": {"n": n}})).await;
    }
    let first = async || {
        let path = format!("/ltm/{id}/snapshots?from=0&limit=1");
        api.get(&path).await.expect(200)["from"].as_u64().unwrap()
    };
    until("the log is trimmed", async || first().await > 0).await;
    // The state is small now, and so are the entries.
    api.append(id, json!({"merge": {"large": null}})).await;
    assert!(first().await < 200, "the history begins before");

    let document = api.document(id).await;
    assert_eq!(document["state"], json!({"n": 199}));
    let trimmed = document["snapshots"][0]["patch"].to_string();
    assert!(trimmed.len() > 400_000);
    let held = Scrape::of(&service).await.value("ltm_document_cache_bytes");
    assert!(held < 128.0 * 1024.0, "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_early_leaves_others_their_document() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let id = ltm(&api, 200, 1000).await;
    for n in 0..50_u64 {
        // Nobody has the new document yet, and the first client may be the one that reads it for all.
        api.append(id, json!({"merge": {"n": n}})).await;
        let leaves = tokio::time::timeout(Duration::from_micros(100 * n), api.document(id));
        let stays = join_all((0..4).map(|_| api.document(id)));
        let (_, documents) = tokio::join!(leaves, stays);
        for document in documents {
            assert_eq!(document["state"]["n"], n);
            assert_eq!(
                document["snapshots"].as_array().unwrap().len() as u64,
                201 + n
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn if_the_log_is_replaced_by_another_one_so_is_the_document_in_memory() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let id = ltm(&api, 50, 100).await;
    let keys = redis.cli(&["KEYS", &format!("ltm:{{{id}}}:*")]);
    let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
    let saved = |key: &str| format!("saved:{key}");
    for key in &keys {
        redis.cli(&["COPY", key, &saved(key)]);
    }
    for round in 0..3 {
        api.append(id, json!({"merge": {"lost": round}})).await;
        assert_eq!(api.document(id).await["state"]["lost"], round);
        for key in &keys {
            redis.cli(&["COPY", &saved(key), key, "REPLACE"]);
        }
        let restored = api.document(id).await;
        assert!(restored["state"].get("lost").is_none());
        // The new log has an entry with the number of the lost one.
        api.append(id, json!({"merge": {"kept": round}})).await;
        let fresh = Service::api(&redis.url(), &[]);
        for api in [&api, &Api::at(&fresh)] {
            let document = api.document(id).await;
            assert_eq!(document["state"]["kept"], round);
            assert_eq!(document["snapshots"].as_array().unwrap().len(), 51);
        }
    }
}
