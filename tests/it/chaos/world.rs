//! The servers: Redis and two of each service. Every connection leads over a network that can fail.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use fastrand::Rng;
use ltm_tests::{LIMIT, Network, RedisServer, Service, SigningKey};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{
    connection::{AUDIENCE, Tokens},
    log::{Logged, Loss, read_log},
    story::Story,
};

const SETTINGS: &[(&str, &str)] = &[
    ("LTM__REDIS__RESPONSE_TIMEOUT", "1s"),
    ("LTM__REDIS__CONNECT_TIMEOUT", "1s"),
    ("LTM__API__CHECKPOINT_EVERY", "20"),
    ("LTM__API__RETENTION_INTERVAL", "200ms"),
    ("LTM__GATEWAY__SWEEP_INTERVAL", "1s"),
    ("LTM__GATEWAY__LIST_INTERVAL", "100ms"),
    // So small that a follower that reads slowly has its messages read from the log.
    ("LTM__HTTP__SEND_BUFFER", "8KiB"),
];
const WAITING: &[(&str, &str)] = &[
    ("LTM__REDIS__WAIT_REPLICAS", "1"),
    ("LTM__REDIS__WAIT_TIMEOUT", "300ms"),
];
const REDIS: &[&str] = &["--appendfsync", "always", "--repl-diskless-sync-delay", "0"];

/// The replicas of the Redis primary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replicas {
    None,
    /// One replica, which may lack the last writes.
    Behind,
    /// One replica, and every write waits for it.
    Waited,
}

/// Redis and the services.
pub(crate) struct World {
    pub(crate) redis: RedisServer,
    replica: Option<Replica>,
    pub(crate) apis: Vec<Behind>,
    /// The last one needs tokens.
    pub(crate) gateways: Vec<Behind>,
    tokens: Tokens,
    _keys: TempDir,
    /// The entries that the log of each LTM lost.
    pub(crate) losses: HashMap<u64, Vec<Loss>>,
}

/// A service between two networks: one to Redis, one to its clients.
pub(crate) struct Behind {
    pub(crate) service: Service,
    settings: Vec<(&'static str, String)>,
    pub(crate) to_redis: Network,
    to_clients: Network,
}

/// A replica, and the network to its primary.
struct Replica {
    redis: RedisServer,
    between: Network,
}

type Make = fn(&str, &[(&str, &str)]) -> Service;

impl Behind {
    async fn start(
        redis: &RedisServer,
        make: Make,
        replicas: Replicas,
        more: &[(&'static str, &str)],
    ) -> Self {
        let waiting = if replicas == Replicas::Waited {
            WAITING
        } else {
            &[]
        };
        let all = SETTINGS.iter().chain(waiting).chain(more);
        let settings = all.map(|(name, value)| (*name, (*value).to_owned()));
        let settings: Vec<(&str, String)> = settings.collect();
        let to_redis = Network::to(&redis.address()).await;
        let url = format!("redis://{}/0", to_redis.address());
        let service = make(&url, &borrowed(&settings));
        let to_clients = Network::to(service.address()).await;
        Self {
            service,
            settings,
            to_redis,
            to_clients,
        }
    }

    /// Kills the service and starts it again at another address.
    pub(crate) fn restart(&mut self, make: Make) {
        self.service.kill();
        let url = format!("redis://{}/0", self.to_redis.address());
        self.service = make(&url, &borrowed(&self.settings));
        self.to_clients.lead_to(self.service.address());
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect()
}

impl Replica {
    async fn of(primary: &RedisServer) -> Self {
        let between = Network::to(&primary.address()).await;
        let (host, port) = between.address().split_once(':').unwrap();
        let redis = RedisServer::start(REDIS);
        // A command and not an argument: a promoted replica stays primary after a restart.
        redis.cli(&["REPLICAOF", host, port]);
        let replica = Self { redis, between };
        replica.until_it_follows().await;
        replica
    }

    /// Waits until the replica follows its primary and its append-only file has all data. Redis writes a new file after a
    /// synchronization. If a replica is promoted and killed before that is done, it comes back with its old data.
    async fn until_it_follows(&self) {
        const DONE: [&str; 3] = [
            "master_link_status:up",
            "aof_rewrite_in_progress:0",
            "aof_rewrite_scheduled:0",
        ];
        let began = Instant::now();
        loop {
            let info = self.redis.cli(&["INFO", "replication", "persistence"]);
            if DONE.iter().all(|part| info.contains(part)) {
                return;
            }
            assert!(began.elapsed() < LIMIT, "the replica never follows: {info}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl World {
    pub(crate) async fn start(replicas: Replicas) -> Self {
        let redis = RedisServer::start(REDIS);
        let replica = match replicas {
            Replicas::None => None,
            Replicas::Behind | Replicas::Waited => Some(Replica::of(&redis).await),
        };
        let (key, keys) = (SigningKey::new("ES256"), TempDir::new().unwrap());
        let file = keys.path().join("jwt");
        std::fs::write(&file, key.public()).unwrap();
        let guarded = [
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", AUDIENCE),
            ("LTM__AUTH__LEEWAY", "0s"),
            ("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap()),
            ("LTM__AUTH__JWT_ALGORITHM", key.algorithm()),
        ];
        let mut world = Self {
            tokens: Tokens::of(key),
            _keys: keys,
            apis: Vec::new(),
            gateways: Vec::new(),
            losses: HashMap::new(),
            replica,
            redis,
        };
        for _ in 0..2 {
            let api = Behind::start(&world.redis, Service::api, replicas, &[]).await;
            world.apis.push(api);
        }
        for more in [&[][..], &[], &guarded] {
            let gateway = Behind::start(&world.redis, Service::gateway, replicas, more).await;
            world.gateways.push(gateway);
        }
        world
    }

    /// Records from now on which entries the log of this LTM loses.
    pub(crate) fn watch_log(&mut self, id: u64) {
        self.losses.insert(id, Vec::new());
    }

    pub(crate) fn api_urls(&self) -> Vec<String> {
        let url = |api: &Behind| format!("http://{}", api.to_clients.address());
        self.apis.iter().map(url).collect()
    }

    pub(crate) fn gateway_urls(&self) -> Vec<String> {
        let url = |gateway: &Behind| format!("ws://{}", gateway.to_clients.address());
        self.gateways.iter().take(2).map(url).collect()
    }

    /// The gateway that needs tokens, and a maker of tokens for it.
    pub(crate) fn guarded(&self) -> (String, Tokens) {
        let gateway = &self.gateways[self.gateways.len() - 1];
        let url = format!("ws://{}", gateway.to_clients.address());
        (url, self.tokens.clone())
    }

    /// One of the networks of a service, and its name.
    pub(crate) fn network(&self, rng: &mut Rng) -> (String, &Network) {
        let (service, side) = if rng.bool() {
            ("API", &self.apis)
        } else {
            ("gateway", &self.gateways)
        };
        let which = rng.usize(..side.len());
        let behind = &side[which];
        if rng.bool() {
            let name = format!("the network from {service} {which} to Redis");
            (name, &behind.to_redis)
        } else {
            let name = format!("the network to {service} {which}");
            (name, &behind.to_clients)
        }
    }

    /// Cuts the replica off from its primary for some time and then promotes it; a new replica follows it.
    pub(crate) async fn fail_over(&mut self, unseen: Duration, story: &Story) {
        let replica = self.replica.take().expect("this world has a replica");
        replica.until_it_follows().await;
        replica.between.hold();
        sleep(unseen).await;
        replica.redis.cli(&["REPLICAOF", "NO", "ONE"]);
        // No service writes to it yet.
        let after = self.logs(&replica.redis);
        let at = story.now();
        for behind in self.apis.iter().chain(&self.gateways) {
            behind.to_redis.lead_to(&replica.redis.address());
            behind.to_redis.cut();
        }
        let before = self.last_logs();
        self.note_losses(before, &after, at);
        self.redis = replica.redis;
        self.replica = Some(Replica::of(&self.redis).await);
    }

    /// Kills Redis and starts it again with no data.
    pub(crate) fn empty(&mut self, story: &Story) {
        let before = self.last_logs();
        self.note_losses(before, &HashMap::new(), story.now());
        self.redis.restart_empty();
    }

    /// The logs of a primary that is about to go. It takes no more writes, so nobody can have seen more.
    fn last_logs(&self) -> HashMap<u64, Vec<Logged>> {
        self.redis.cli(&["CLIENT", "PAUSE", "600000", "WRITE"]);
        self.logs(&self.redis)
    }

    fn logs(&self, redis: &RedisServer) -> HashMap<u64, Vec<Logged>> {
        let ids = self.losses.keys();
        ids.map(|&id| (id, read_log(redis, id))).collect()
    }

    fn note_losses(
        &mut self,
        before: HashMap<u64, Vec<Logged>>,
        after: &HashMap<u64, Vec<Logged>>,
        at: Duration,
    ) {
        for (id, before) in before {
            let after = after.get(&id).map_or(&[][..], Vec::as_slice);
            let losses = self.losses.entry(id).or_default();
            losses.extend(Loss::of(before, after, at));
        }
    }
}
