//! A primary, a replica, and Sentinels that promote the replica if the primary is gone.

use std::{
    fmt::{self, Debug, Formatter},
    time::Duration,
};

use crate::{RedisServer, until, until_within};

/// The longest wait for a failover. A Sentinel that was held up does nothing for 30 s (TILT).
pub const FAILOVER_LIMIT: Duration = Duration::from_secs(180);
/// The name of the two servers in the Sentinels' configuration.
const SERVICE: &str = "ltm";

/// A primary, a replica and three Sentinels.
pub struct Sentinels {
    /// The first primary.
    pub leader: RedisServer,
    /// Its replica.
    pub replica: RedisServer,
    /// Two of them must agree on a failover.
    pub sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts all of them, and waits until the Sentinels know each other and both servers.
    pub async fn start() -> Self {
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let leader = RedisServer::start(&at_once);
        let address = leader.address();
        let (host, port) = address.split_once(':').unwrap();
        let replica = RedisServer::start(&[&at_once[..], &["--replicaof", host, port]].concat());
        until("the replica follows", async || {
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
        until("the Sentinels know each other", async || {
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

    /// The settings of a service that uses the Sentinels.
    pub fn settings<'a>(&self, urls: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("LTM__REDIS__SENTINELS", urls),
            ("LTM__REDIS__SENTINEL_SERVICE", SERVICE),
            ("LTM__REDIS__RESPONSE_TIMEOUT", "2s"),
            ("LTM__REDIS__CONNECT_TIMEOUT", "2s"),
        ]
    }

    /// The URLs of the Sentinels, separated by commas.
    pub fn urls(&self) -> String {
        let url = |sentinel: &RedisServer| format!("redis://{}", sentinel.address());
        let urls: Vec<String> = self.sentinels.iter().map(url).collect();
        urls.join(",")
    }

    /// Waits until the replica is the primary, and every Sentinel says so.
    pub async fn until_the_replica_leads(&self) {
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        // The answer has two lines.
        let address = Ok(self.replica.address().replace(':', "\n"));
        self.until("the replica is the primary", || {
            let role = self.replica.try_cli(&["ROLE"]);
            let named = |sentinel: &RedisServer| sentinel.try_cli(&ask) == address;
            role.is_ok_and(|role| role.starts_with("master")) && self.sentinels.iter().all(named)
        })
        .await;
    }

    /// Waits for something. If it does not come, shows what each server and Sentinel knows.
    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        until_within(FAILOVER_LIMIT, what, async || {
            if done() { Ok(()) } else { Err(Opinions(self)) }
        })
        .await;
    }

    /// Makes the first primary a replica of the other server. Sentinels do that too, but a Sentinel that was held up waits
    /// 30 s first.
    pub async fn demote_the_leader(&self) {
        let address = self.replica.address();
        let (host, port) = address.split_once(':').unwrap();
        self.leader.cli(&["REPLICAOF", host, port]);
        self.until("the old primary is demoted", || {
            let said = self.leader.try_cli(&["INFO", "replication"]);
            said.is_ok_and(|said| {
                said.contains("role:slave") && said.contains("master_link_status:up")
            })
        })
        .await;
    }
}

/// What each server and each Sentinel knows about the others. They are asked when it is printed.
struct Opinions<'a>(&'a Sentinels);

impl Debug for Opinions<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for server in [&self.0.leader, &self.0.replica] {
            let thinks = server.try_cli(&["INFO", "replication"]);
            map.entry(&server.address(), &thinks);
        }
        for sentinel in &self.0.sentinels {
            for question in ["MASTER", "REPLICAS"] {
                let thinks = sentinel.try_cli(&["SENTINEL", question, SERVICE]);
                map.entry(&sentinel.address(), &thinks);
            }
        }
        map.finish()
    }
}
