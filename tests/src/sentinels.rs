//! A leader, a replica, and Sentinels that make the replica lead when the leader is gone.

use std::time::{Duration, Instant};

use crate::{LIMIT, RedisServer};

/// The longest wait for a failover: Sentinels that were held up do nothing for half a minute (TILT).
pub const FAILOVER_LIMIT: Duration = Duration::from_secs(180);
/// What the Sentinels call the two.
const SERVICE: &str = "ltm";

/// A leader, a replica and three Sentinels.
pub struct Sentinels {
    /// The Redis that leads at the begin.
    pub leader: RedisServer,
    /// The other one.
    pub replica: RedisServer,
    /// They need two voices for a failover.
    pub sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts all, and waits until the Sentinels know each other and both servers.
    pub async fn start() -> Self {
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let leader = RedisServer::start(&at_once);
        let address = leader.address();
        let (host, port) = address.split_once(':').unwrap();
        let replica = RedisServer::start(&[&at_once[..], &["--replicaof", host, port]].concat());
        until("the replica never follows", || {
            leader.info("replication", "connected_slaves") == 1
                && leader
                    .cli(&["INFO", "replication"])
                    .contains("state=online")
        })
        .await;
        let configuration = format!(
            "sentinel monitor {SERVICE} {host} {port} 2\n\
             sentinel down-after-milliseconds {SERVICE} 1000\n\
             sentinel failover-timeout {SERVICE} 3000\n"
        );
        let group = Self {
            sentinels: (0..3)
                .map(|_| RedisServer::sentinel(&configuration))
                .collect(),
            leader,
            replica,
        };
        until("the Sentinels never know each other", || {
            let knows = |sentinel: &RedisServer| {
                let known = sentinel.cli(&["SENTINEL", "MASTER", SERVICE]);
                let fields: Vec<&str> = known.lines().collect();
                let is = |pair: [&str; 2]| fields.chunks(2).any(|field| field == pair);
                is(["num-slaves", "1"]) && is(["num-other-sentinels", "2"])
            };
            group.sentinels.iter().all(knows)
        })
        .await;
        group
    }

    /// The settings of a service that knows only the Sentinels.
    pub fn settings<'a>(&self, urls: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("LTM__REDIS__SENTINELS", urls),
            ("LTM__REDIS__SENTINEL_SERVICE", SERVICE),
            ("LTM__REDIS__RESPONSE_TIMEOUT", "2s"),
            ("LTM__REDIS__CONNECT_TIMEOUT", "2s"),
        ]
    }

    /// Where the Sentinels are, with commas between.
    pub fn urls(&self) -> String {
        let url = |sentinel: &RedisServer| format!("redis://{}", sentinel.address());
        let urls: Vec<String> = self.sentinels.iter().map(url).collect();
        urls.join(",")
    }

    /// Waits until every Sentinel names the replica as the leader, and it leads.
    pub async fn until_the_replica_leads(&self) {
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        // It answers in two lines.
        let address = Ok(self.replica.address().replace(':', "\n"));
        self.until("the replica never leads", || {
            let role = self.replica.try_cli(&["ROLE"]);
            let named = |sentinel: &RedisServer| sentinel.try_cli(&ask) == address;
            role.is_ok_and(|role| role.starts_with("master")) && self.sentinels.iter().all(named)
        })
        .await;
    }

    /// Waits for something; where it does not come, shows who thinks what.
    async fn until(&self, complaint: &str, done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            if began.elapsed() > FAILOVER_LIMIT {
                for server in [&self.leader, &self.replica] {
                    let said = server.try_cli(&["INFO", "replication"]);
                    eprintln!("{}: {said:?}", server.address());
                }
                for sentinel in &self.sentinels {
                    for question in ["MASTER", "REPLICAS"] {
                        let said = sentinel.try_cli(&["SENTINEL", question, SERVICE]);
                        eprintln!("{}: {said:?}", sentinel.address());
                    }
                }
                panic!("{complaint}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes the Redis that led at the begin follow the other one, as Sentinels do unless they were held up: then not for
    /// half a minute, and again.
    pub async fn demote_the_leader(&self) {
        let address = self.replica.address();
        let (host, port) = address.split_once(':').unwrap();
        self.leader.cli(&["REPLICAOF", host, port]);
        self.until("the old leader is never demoted", || {
            let said = self.leader.try_cli(&["INFO", "replication"]);
            said.is_ok_and(|said| {
                said.contains("role:slave") && said.contains("master_link_status:up")
            })
        })
        .await;
    }
}

async fn until(complaint: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "{complaint}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
