//! What a page of a list costs, for each filter: the table of `docs/history.md`.
//!
//! `cargo run --release --package ltm-tests --example list_cost` prints it; a number as argument sets the larger
//! number of LTMs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use ltm_tests::{Api, RedisServer, Service, until_within};
use reqwest::Url;
use serde_json::{Value, json};

/// How often a page is asked for; the middle time counts.
const ASKED: usize = 25;
/// The smaller number of LTMs.
const FEW: u64 = 1000;
/// Ten statuses, the same number of LTMs each.
const STATUSES: [&str; 10] = [
    "init",
    "queued",
    "active",
    "finished",
    "error",
    "paused",
    "planning",
    "reviewing",
    "waiting",
    "cancelled",
];
/// Words of names.
const WORDS: [&str; 20] = [
    "harbour",
    "lighthouse",
    "lisbon",
    "oslo",
    "ferry",
    "tide",
    "anchor",
    "beacon",
    "canal",
    "dock",
    "estuary",
    "fjord",
    "gangway",
    "hull",
    "island",
    "jetty",
    "keel",
    "lagoon",
    "mooring",
    "quay",
];
/// How far the index may be behind with the time of an update.
const BEHIND: Duration = Duration::from_secs(61);
/// How long the index may take to hold all LTMs.
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() {
    let most: u64 = std::env::args()
        .nth(1)
        .map_or(100_000, |text| text.parse().expect("a number"));
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let mut columns = Vec::new();
    let mut created = 0;
    for count in [FEW.min(most), most] {
        let began = Instant::now();
        stream::iter((created..count).map(|number| create(&api, number)))
            .buffer_unordered(16)
            .for_each(|()| async {})
            .await;
        eprintln!(
            "{} LTMs created in {:.0?}",
            count - created,
            began.elapsed()
        );
        created = count;
        until_within(LIMIT, "the index has all LTMs", async || {
            let counts = api.get("/ltm/counts").await.expect(200);
            if counts["total"] == count {
                Ok(())
            } else {
                Err(counts)
            }
        })
        .await;
        columns.push(column(&redis, &api, count).await);
        memory(&redis, count);
    }
    println!("| filter | LTMs | rows | LTMs read | KiB from Redis | time |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let [few, many] = <[_; 2]>::try_from(columns).unwrap();
    for (few, many) in few.into_iter().zip(many) {
        few.print(FEW.min(most));
        many.print(most);
    }
    rebuild(&redis, &api).await;
}

/// What one page costs.
#[derive(Debug)]
struct Cost {
    name: &'static str,
    /// The rows on the page.
    found: usize,
    /// The LTMs that the API reads.
    ltms: u64,
    /// What Redis sends.
    bytes: u64,
    time: Duration,
}

impl Cost {
    fn print(&self, of: u64) {
        let (name, found, ltms) = (self.name, self.found, self.ltms);
        let (kib, time) = (self.bytes.div_ceil(1024), shown(self.time));
        println!("| {name} | {of} | {found} | {ltms} | {kib} | {time} |");
    }
}

/// How many LTMs Redis has read so far, and how many bytes it has sent.
fn work_of(redis: &RedisServer) -> [u64; 2] {
    let stats = redis.cli(&["INFO", "commandstats"]);
    let of_command = |line: &str| line.strip_prefix("cmdstat_hmget:calls=").map(str::to_owned);
    let calls = stats.lines().find_map(of_command).unwrap_or_default();
    let calls = calls.split(',').next().and_then(|calls| calls.parse().ok());
    [
        calls.unwrap_or_default(),
        redis.info("stats", "total_net_output_bytes"),
    ]
}

/// Creates the LTM with this number. Its words, its status and its class do not depend on each other.
async fn create(api: &Api, number: u64) {
    let pick = |all: &[&'static str], at: u64| all[usize::try_from(at % all.len() as u64).unwrap()];
    let name = format!(
        "{} {} {number}",
        pick(&WORDS, number / 3),
        pick(&WORDS, number / 7 + 11)
    );
    let name = if number % 100 == 5 {
        format!("{name} rare")
    } else {
        name
    };
    let fqn = format!(
        "app.{}.Agent{}",
        pick(&["billing", "search", "mail"], number / 5),
        number % 13
    );
    let state = json!({"_status": pick(&STATUSES, number / 2)});
    let created = api
        .post("/ltm", &json!({"fqn": fqn, "name": name, "state": state}))
        .await;
    let id = &created.expect(200)["id"];
    if number % 100 == 7 {
        let error = json!({"id": "6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d"});
        api.post(&format!("/ltm/{id}/errors"), &error)
            .await
            .expect(200);
    }
}

/// The filters, the rows on their first page of 100, and its time.
async fn column(redis: &RedisServer, api: &Api, count: u64) -> Vec<Cost> {
    let middle = count / 2;
    let row = api
        .get(&format!("/ltm?before={}&limit=1", middle + 1))
        .await;
    let half: Value = row.expect(200)[0]["created_at"].clone();
    let half = half.as_str().unwrap();
    // Of the last hundredth, to which entries are appended now.
    let old: Vec<u64> = (1..=count / 100).map(|nth| nth * 97 % count + 1).collect();
    tokio::time::sleep(BEHIND).await;
    let mut since = None;
    for id in old {
        api.append(id, json!({"merge": {"late": true}})).await;
        if since.is_none() {
            let row = api.get(&format!("/ltm?before={}&limit=1", id + 1)).await;
            since = Some(row.expect(200)[0]["updated_at"].clone());
        }
    }
    let since = since.unwrap();
    let since = since.as_str().unwrap();
    let before = middle.to_string();
    let queries: [(&str, Vec<(&str, &str)>); 18] = [
        ("none", vec![]),
        ("none, a page in the middle", vec![("before", &before)]),
        ("`status`: one in 10", vec![("status", "error")]),
        (
            "`status`, a page in the middle",
            vec![("status", "error"), ("before", &before)],
        ),
        ("`status`: three", vec![("status", "error,active,waiting")]),
        ("`fqn`: one in 13", vec![("fqn", "app.mail.Agent5")]),
        ("`fqn`: a prefix, one in 3", vec![("fqn", "app.mail.*")]),
        (
            "`name`: one word, about one in 10",
            vec![("name", "harbour")],
        ),
        ("`name`: the beginning of four words", vec![("name", "l")]),
        ("`name`: a word of one in 100", vec![("name", "rare")]),
        ("`name`: the number of one", vec![("name", "777")]),
        (
            "`has_errors=true`: one in 100",
            vec![("has_errors", "true")],
        ),
        ("`has_errors=false`", vec![("has_errors", "false")]),
        (
            "`created_after` the middle one",
            vec![("created_after", half)],
        ),
        (
            "`created_before` the middle one",
            vec![("created_before", half)],
        ),
        (
            "`updated_after`: one in 100, at random",
            vec![("updated_after", since)],
        ),
        (
            "`updated_before`: all but those",
            vec![("updated_before", since)],
        ),
        (
            "`status`, `fqn`, `name` and `has_errors` together",
            vec![
                ("status", "error"),
                ("fqn", "app.mail.*"),
                ("name", "har oslo"),
                ("has_errors", "false"),
            ],
        ),
    ];
    let mut rows = Vec::new();
    for (name, query) in queries {
        let url = Url::parse_with_params("http://h/?limit=100", &query).unwrap();
        let path = format!("/ltm?{}", url.query().unwrap());
        let mut times = Vec::new();
        let mut found = 0;
        let work = work_of(redis);
        for _ in 0..ASKED {
            let began = Instant::now();
            let answer = api.get(&path).await;
            times.push(began.elapsed());
            found = answer.expect(200).as_array().unwrap().len();
        }
        times.sort();
        let work = work_of(redis).into_iter().zip(work);
        let work: Vec<u64> = work
            .map(|(after, before)| (after - before) / ASKED as u64)
            .collect();
        rows.push(Cost {
            name,
            found,
            ltms: work[0],
            bytes: work[1],
            time: times[ASKED / 2],
        });
    }
    rows
}

/// Prints what the index takes.
fn memory(redis: &RedisServer, count: u64) {
    let keys = ["terms", "records", "counts", "updated", "first", "last"];
    let bytes = keys.iter().map(|key| {
        let usage = redis.cli(&[
            "MEMORY",
            "USAGE",
            &format!("ltm:{{list}}:{key}"),
            "SAMPLES",
            "0",
        ]);
        usage.trim().parse::<u64>().unwrap_or_default()
    });
    eprintln!(
        "{count} LTMs: the index takes {} bytes for each",
        bytes.sum::<u64>() / count
    );
}

/// Prints how long it takes to build the index anew.
async fn rebuild(redis: &RedisServer, api: &Api) {
    redis.cli(&["DEL", "ltm:{list}:check"]);
    let began = Instant::now();
    until_within(LIMIT, "the index is built", async || {
        let counts = api.get("/ltm/counts").await;
        if counts.header("ltm-incomplete").is_empty() {
            Ok(())
        } else {
            Err(counts.text)
        }
    })
    .await;
    eprintln!(
        "the index is built in {:.1?}, including the wait for the next look",
        began.elapsed()
    );
}

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
