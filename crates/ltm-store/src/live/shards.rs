//! The listeners of a cluster: one for each primary that has slots.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use redis::cluster::NodeAddress;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    listener::Listener,
    shard::Shard,
    shared::{LiveEvent, Shared},
};
use crate::redis::{client::Redis, cluster::Topology};

/// How often the cluster is asked for its slots.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Starts a listener for each primary.
pub(super) struct Shards {
    redis: Redis,
    shared: Arc<Shared>,
    sender: mpsc::Sender<LiveEvent>,
    topology: watch::Sender<Arc<Topology>>,
    /// For each listener a value that lives as long as its task.
    listeners: HashMap<NodeAddress, Weak<()>>,
}

impl Shards {
    pub(super) fn new(redis: Redis, shared: Arc<Shared>, sender: mpsc::Sender<LiveEvent>) -> Self {
        Self {
            redis,
            shared,
            sender,
            topology: watch::Sender::default(),
            listeners: HashMap::new(),
        }
    }

    /// Asks the cluster regularly, until the receiver of the events is dropped.
    pub(super) async fn run(mut self) {
        let mut answered = true;
        while !self.sender.is_closed() {
            let topology = self.redis.topology().await;
            let address = self.redis.settings().shown_address();
            match &topology {
                Err(error) if answered => {
                    tracing::warn!(address, %error, retry_in = ?WATCH_INTERVAL, "the cluster does not report its slots; retrying");
                }
                Ok(_) if !answered => {
                    tracing::info!(address, "the cluster reports its slots again")
                }
                _ => {}
            }
            answered = topology.is_ok();
            if let Ok(topology) = topology {
                let topology = Arc::new(topology);
                self.redis.known_topology().remember(topology.clone());
                self.follow(topology);
            }
            tokio::select! {
                () = sleep(WATCH_INTERVAL) => {}
                () = self.sender.closed() => {}
            }
        }
    }

    /// Starts a listener for each primary that has none.
    fn follow(&mut self, topology: Arc<Topology>) {
        self.topology.send_if_modified(|known| {
            let moved = *known != topology;
            if moved {
                *known = topology;
            }
            moved
        });
        self.listeners
            .retain(|_, listener| listener.strong_count() > 0);
        let primaries = self.topology.borrow().primaries().to_vec();
        for node in primaries {
            if self.listeners.contains_key(&node) {
                continue;
            }
            let shard = Shard::new(node.clone(), self.topology.subscribe());
            let (redis, shared) = (self.redis.clone(), self.shared.clone());
            let listener = Listener::of_shard(redis, shared, self.sender.clone(), shard);
            let alive = Arc::new(());
            self.listeners.insert(node, Arc::downgrade(&alive));
            self.redis.spawner().spawn("live listener", async move {
                listener.run().await;
                drop(alive);
            });
        }
    }
}
