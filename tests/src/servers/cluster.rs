//! A Redis Cluster: primaries, with or without replicas.

use std::fmt::{self, Debug, Formatter};

use crate::{FAILOVER_LIMIT, RedisServer, free_port, until_within};

/// How many slots a cluster has.
const SLOTS: usize = 16384;

/// The nodes of one cluster.
pub struct Cluster {
    /// Each has a third of the slots at first.
    pub primaries: Vec<RedisServer>,
    /// Each follows the primary with the same index. May be empty.
    pub replicas: Vec<RedisServer>,
}

impl Cluster {
    /// Starts three primaries, each with a replica if `replicas` is set, and waits until all nodes know each other.
    pub async fn start(replicas: bool) -> Self {
        let primaries: Vec<RedisServer> = (0..3).map(|_| node()).collect();
        for (place, server) in primaries.iter().enumerate() {
            let (first, last) = (place * SLOTS / 3, (place + 1) * SLOTS / 3 - 1);
            let range = [first.to_string(), last.to_string()];
            server.cli(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]);
            let epoch = (place + 1).to_string();
            server.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
        }
        let count = if replicas { primaries.len() } else { 0 };
        let cluster = Self {
            primaries,
            replicas: (0..count).map(|_| node()).collect(),
        };
        cluster.meet();
        cluster
            .until("all nodes know each other", || cluster.all_know(3 + count))
            .await;
        for (primary, replica) in cluster.primaries.iter().zip(&cluster.replicas) {
            let id = primary.cli(&["CLUSTER", "MYID"]);
            replica.cli(&["CLUSTER", "REPLICATE", &id]);
        }
        cluster
            .until("every replica follows its primary", || cluster.all_follow())
            .await;
        cluster
    }

    /// The addresses of the primaries, in the format of the setting.
    pub fn nodes(&self) -> String {
        let addresses: Vec<String> = self.primaries.iter().map(RedisServer::address).collect();
        addresses.join(",")
    }

    /// The settings of a service that uses the cluster.
    pub fn settings<'a>(&self, nodes: &'a str) -> [(&'a str, &'a str); 3] {
        [
            ("LTM__REDIS__CLUSTER_NODES", nodes),
            ("LTM__REDIS__RESPONSE_TIMEOUT", "2s"),
            ("LTM__REDIS__CONNECT_TIMEOUT", "1s"),
        ]
    }

    /// The slot of an LTM's keys.
    pub fn slot(&self, id: u64) -> String {
        let key = format!("ltm:{{{id}}}:log");
        let server = self
            .primaries
            .iter()
            .chain(&self.replicas)
            .find_map(|server| server.try_cli(&["CLUSTER", "KEYSLOT", &key]).ok());
        server.expect("a node that answers")
    }

    /// The index of the primary that has an LTM at first.
    pub fn place(&self, id: u64) -> usize {
        let slot: usize = self.slot(id).parse().expect("a number");
        (slot * 3 + 2) / SLOTS
    }

    /// Moves an LTM's slot to another primary, key by key, as `redis-cli --cluster reshard` does. `between` runs while both
    /// primaries have some of its keys.
    pub async fn move_slot(&self, id: u64, to: usize, between: impl AsyncFnOnce()) {
        let from = &self.primaries[self.place(id)];
        self.move_slot_between(id, from, &self.primaries[to], between)
            .await;
    }

    /// As [`Cluster::move_slot`], from one server that is a primary now to another one.
    pub async fn move_slot_between(
        &self,
        id: u64,
        from: &RedisServer,
        to: &RedisServer,
        between: impl AsyncFnOnce(),
    ) {
        let slot = self.slot(id);
        let ids = [from, to].map(|server| server.cli(&["CLUSTER", "MYID"]));
        to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
        from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
        let address = to.address();
        let (host, port) = address.split_once(':').expect("host and port");
        let mut between = Some(between);
        loop {
            let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
            if keys.is_empty() {
                break;
            }
            from.cli(&["MIGRATE", host, port, &keys, "0", "5000"]);
            if let Some(between) = between.take() {
                between().await;
            }
        }
        for server in [to, from] {
            server.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]);
        }
    }

    /// Waits until the replica with this index has the slots of its primary.
    pub async fn until_the_replica_leads(&self, place: usize) {
        self.until_it_leads(&self.replicas[place]).await;
    }

    /// Waits until a server is a primary.
    pub async fn until_it_leads(&self, server: &RedisServer) {
        self.until("the replica is the primary", || {
            let role = server.try_cli(&["ROLE"]);
            role.is_ok_and(|role| role.starts_with("master"))
        })
        .await;
    }

    /// Waits until a server follows its primary.
    pub async fn until_it_follows(&self, server: &RedisServer) {
        self.until("the server follows its primary", || {
            let info = server.try_cli(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("master_link_status:up"))
        })
        .await;
    }

    fn all(&self) -> impl Iterator<Item = &RedisServer> {
        self.primaries.iter().chain(&self.replicas)
    }

    fn meet(&self) {
        let first = &self.primaries[0];
        let address = first.address();
        let (host, port) = address.split_once(':').expect("host and port");
        let bus = bus_port(first);
        for server in self.all().skip(1) {
            server.cli(&["CLUSTER", "MEET", host, port, &bus]);
        }
    }

    fn all_know(&self, count: usize) -> bool {
        self.all().all(|server| {
            let info = server.cli(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
                && info.contains(&format!("cluster_known_nodes:{count}\r"))
        })
    }

    fn all_follow(&self) -> bool {
        let follows = |server: &RedisServer| {
            let info = server.cli(&["INFO", "replication"]);
            info.contains("role:slave") && info.contains("master_link_status:up")
        };
        // A node that answers where the slots are must know the replicas, too.
        let listed = |server: &RedisServer| {
            let nodes = server.cli(&["CLUSTER", "NODES"]);
            nodes.lines().filter(|line| line.contains("slave")).count() == self.replicas.len()
        };
        self.replicas.iter().all(follows) && self.all().all(listed)
    }

    /// Waits for something. If it does not come, shows what each node knows about the others.
    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        until_within(FAILOVER_LIMIT, what, async || {
            if done() { Ok(()) } else { Err(Nodes(self)) }
        })
        .await;
    }
}

/// What each node knows about the others. The nodes are asked when it is printed.
struct Nodes<'a>(&'a Cluster);

impl Debug for Nodes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let known = |server: &RedisServer| server.try_cli(&["CLUSTER", "NODES"]);
        let nodes = self.0.all();
        f.debug_map()
            .entries(nodes.map(|server| (server.address(), known(server))))
            .finish()
    }
}

/// A single node. Its bus port is chosen freely: the usual one, 10,000 higher, may not exist.
fn node() -> RedisServer {
    let bus = free_port().to_string();
    RedisServer::start(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "1000",
        "--cluster-require-full-coverage",
        "no",
        "--repl-diskless-sync-delay",
        "0",
    ])
}

fn bus_port(server: &RedisServer) -> String {
    let known = server.cli(&["CONFIG", "GET", "cluster-port"]);
    known.lines().last().expect("a value").into()
}
