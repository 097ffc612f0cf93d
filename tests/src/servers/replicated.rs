//! A Redis with a replica.

use crate::{Api, Network, RedisServer, Service, until};

/// A Redis, a replica of it, and services that reach whichever of them leads.
pub struct Replicated {
    /// Dropped last: the services end first.
    pub api: Api,
    /// The gateway.
    pub gateway: Service,
    _service: Service,
    /// Between the services and the Redis that leads.
    pub to_leader: Network,
    /// Between Redis and its replica.
    pub between: Network,
    /// The Redis that leads at first.
    pub leader: RedisServer,
    /// Its replica.
    pub replica: RedisServer,
}

impl Replicated {
    /// Starts all of them with these settings of the services, and waits until the replica follows.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let leader = RedisServer::start(&[]);
        let between = Network::to(&leader.address()).await;
        let (host, port) = between.address().split_once(':').expect("host and port");
        let replica = RedisServer::start(&["--replicaof", host, port]);
        until("the replica follows", async || {
            let info = leader.cli(&["INFO", "replication"]);
            info.contains("state=online")
        })
        .await;
        let to_leader = Network::to(&leader.address()).await;
        let url = format!("redis://{}/0", to_leader.address());
        let service = Service::api(&url, settings);
        Self {
            api: Api::at(&service),
            gateway: Service::gateway(&url, settings),
            _service: service,
            to_leader,
            between,
            leader,
            replica,
        }
    }

    /// Waits until the replica has this LTM.
    pub async fn until_replicated(&self, id: u64) {
        let meta = format!("ltm:{{{id}}}:meta");
        until(&format!("the replica has LTM {id}"), async || {
            self.replica.cli(&["EXISTS", &meta]) == "1"
        })
        .await;
    }

    /// The replica leads from now on, with what it has.
    pub fn fail_over(&self) {
        self.replica.cli(&["REPLICAOF", "NO", "ONE"]);
        self.to_leader.lead_to(&self.replica.address());
        self.to_leader.cut();
    }
}
