//! The listeners of a cluster: one for each primary that has slots.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use ltm_types::{LtmId, keys};
use redis::{AsyncConnectionConfig, RedisError, aio::MultiplexedConnection, cluster::NodeAddress};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{LiveEvent, Shared, listener::Listener};
use crate::{
    redis::client::Redis, redis::cluster::Topology, redis::settings::RedisSettings, redis::tls,
};

/// How often the cluster is asked for its slots.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The most hash tags that are tried until one belongs to a primary. That is enough to find a primary with one slot.
const MAX_TAGS: u32 = 1 << 20;

/// Starts a listener for each primary.
pub(super) struct Shards {
    redis: Redis,
    shared: Arc<Shared>,
    sender: mpsc::Sender<LiveEvent>,
    topology: watch::Sender<Topology>,
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
                self.follow(topology);
            }
            tokio::select! {
                () = sleep(WATCH_INTERVAL) => {}
                () = self.sender.closed() => {}
            }
        }
    }

    /// Starts a listener for each primary that has none.
    fn follow(&mut self, topology: Topology) {
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
            let shard = Shard {
                node: node.clone(),
                topology: self.topology.subscribe(),
            };
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

/// One primary of a cluster.
pub(super) struct Shard {
    node: NodeAddress,
    topology: watch::Receiver<Topology>,
}

impl Shard {
    pub(super) fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// Changes when slots have moved.
    pub(super) fn moves(&self) -> watch::Receiver<Topology> {
        self.topology.clone()
    }

    /// Whether it has slots, and [`Shards`] still asks the cluster.
    pub(super) fn is_primary(&self) -> bool {
        let is_watched = self.topology.has_changed().is_ok();
        is_watched && self.topology.borrow().primaries().contains(&self.node)
    }

    /// Whether it has the keys of this LTM.
    pub(super) fn has(&self, id: LtmId) -> bool {
        self.topology.borrow().owner(&keys::live(id)) == Some(&self.node)
    }

    /// A hash tag whose slot it has, for the channel of its probe.
    pub(super) fn tag(&self) -> Option<u32> {
        let topology = self.topology.borrow();
        (0..MAX_TAGS).find(|tag| topology.owner(&format!("{{{tag}}}")) == Some(&self.node))
    }

    /// A new connection to it.
    pub(super) async fn connect(
        &self,
        settings: &RedisSettings,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let invalid = |e: crate::StoreError| {
            RedisError::from((
                redis::ErrorKind::InvalidClientConfig,
                "a setting is wrong",
                e.to_string(),
            ))
        };
        let info = settings.info_of(&self.node).map_err(invalid)?;
        let client = tls::client(settings, info).map_err(invalid)?;
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }
}
