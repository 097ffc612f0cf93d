//! A thread whose fan-out panics.

use std::{net::TcpListener, time::Duration};

use actix_web::rt::{self, net::TcpStream};
use ltm_service::{Shutdown, Tasks};
use ltm_state::RetentionOverride;
use ltm_store::{Append, NewLtm, Redis, RedisSettings, Store};
use ltm_tests::{Api, RedisServer, Subscriber};
use ltm_types::{Cursor, Entry, Kind, LtmId};
use tokio::time::sleep;

use crate::{fanout::fan_out::injected::POISON, run::run, settings::Settings};

fn snapshot(after: Cursor, reason: &str) -> Entry {
    let payload = format!(
        r#"{{"time":"2026-01-01T00:00:00Z","reason":"{reason}","item":null,"patch":[],"execute_queue":[],"transitions_queue":[]}}"#
    );
    Entry::after(after, Kind::Snapshot, payload.into())
}

async fn create(store: &Store, id: LtmId) -> Cursor {
    let first = snapshot(Cursor::ORIGIN, "start");
    let new = NewLtm {
        id: Some(id),
        key: None,
        reuse: false,
        name: "",
        fqn: "app.Agent",
        params: "{}",
        structure: "{}",
        concurrent_instances: "{}",
        status: None,
        playground: false,
        created_at: "2026-01-01T00:00:00Z",
        retention: RetentionOverride::default(),
        producer: None,
        first: &first,
    };
    store.create(&new, None).await.unwrap().cursor
}

async fn append(store: &Store, id: LtmId, expected: Cursor, reason: &str) -> Cursor {
    let entry = snapshot(expected, reason);
    let append = Append {
        entries: std::slice::from_ref(&entry),
        expected,
        now: "2026-01-01T00:00:00Z",
        snapshots_count: 2,
        status: None,
        changes_lists: false,
        idempotency: None,
        producer: None,
    };
    store.append(id, &append).await.unwrap();
    entry.cursor
}

/// A gateway in this process. Its drain would only begin after an hour.
struct Running {
    address: String,
    tasks: Tasks,
}

impl Running {
    async fn start(redis: &RedisSettings) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut settings = Settings {
            redis: redis.clone(),
            ..Settings::default()
        };
        settings.gateway.listen.clone_from(&address);
        settings.gateway.drain_notice = Duration::from_secs(3600);
        let tasks = Tasks::new(Shutdown::default());
        rt::spawn(run(settings, tasks.clone()));
        let running = Self { address, tasks };
        while TcpStream::connect(&running.address).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        running.http().until_ready_is(200).await;
        running
    }

    fn http(&self) -> Api {
        Api::at_url(&format!("http://{}", self.address))
    }

    async fn follow(&self, path: &str) -> Subscriber {
        let url = format!("ws://{}{path}", self.address);
        Subscriber::connect(&url).await.unwrap()
    }
}

#[actix_web::test]
async fn a_panic_in_a_fan_out_closes_its_subscribers_and_stops_the_process() {
    let server = RedisServer::start(&[]);
    let redis = RedisSettings {
        url: server.url(),
        ..RedisSettings::default()
    };
    let store = Store::new(Redis::open(&redis).unwrap());
    let id = LtmId::new(7).unwrap();
    let created = create(&store, id).await;
    let (failing, other) = (Running::start(&redis).await, Running::start(&redis).await);
    let mut one = failing.follow(&format!("/ws/{id}?live=1")).await;
    assert_eq!(one.message().await["live"], true);
    let mut many = failing.follow("/ws").await;
    many.say(&format!(r#"{{"follow":{id},"live":1}}"#)).await;
    assert_eq!(many.message().await["live"], true);

    let head = append(&store, id, created, POISON).await;
    assert_eq!(one.close_code().await, 1012);
    assert_eq!(many.close_code().await, 1012);
    failing.http().until_ready_is(503).await;
    let panicked = failing.tasks.wait().await.unwrap_err();
    assert_eq!(panicked.task, "fan-out");

    // They resume elsewhere, and miss nothing. Read from the log, the entry does no harm.
    let mut resumed = other.follow(&format!("/ws/{id}?after={created}")).await;
    assert_eq!(resumed.message().await["cursor"], head.to_string());
    assert!(!other.tasks.shutdown().has_begun());
}
