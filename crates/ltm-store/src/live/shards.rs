//! The listeners of a cluster: one for each primary, as long as it has slots.

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
    redis::cluster::Topology, redis::connection::Redis, redis::settings::RedisSettings, redis::tls,
};

/// How often the cluster is asked which primary has which slots.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How many tags are tried until one belongs to a primary: enough to find a single slot of all.
const MOST_TAGS: u32 = 1 << 20;

/// Starts a listener for each primary.
pub(super) struct Shards {
    redis: Redis,
    shared: Arc<Shared>,
    sender: mpsc::Sender<LiveEvent>,
    topology: watch::Sender<Topology>,
    /// Of each listener what lives as long as its task.
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

    /// Looks at the cluster from time to time, until nobody takes the events any more.
    pub(super) async fn run(mut self) {
        let mut answers = true;
        while !self.sender.is_closed() {
            let looked = self.redis.topology().await;
            match &looked {
                Err(error) if answers => {
                    let cluster = self.redis.settings().shown_place();
                    tracing::warn!(cluster, %error, "asking the cluster every second for its slots");
                }
                Ok(_) if !answers => tracing::info!("the cluster tells its slots again"),
                _ => {}
            }
            answers = looked.is_ok();
            if let Ok(topology) = looked {
                self.follow(topology);
            }
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                () = self.sender.closed() => {}
            }
        }
    }

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

    /// Tells when slots have moved.
    pub(super) fn moves(&self) -> watch::Receiver<Topology> {
        self.topology.clone()
    }

    /// Whether it has slots, and somebody still looks.
    pub(super) fn is_primary(&self) -> bool {
        let watched = self.topology.has_changed().is_ok();
        watched && self.topology.borrow().primaries().contains(&self.node)
    }

    /// Whether it has the keys of this LTM.
    pub(super) fn has(&self, id: LtmId) -> bool {
        self.topology.borrow().owner(&keys::live(id)) == Some(&self.node)
    }

    /// A hash tag for a channel that belongs to it.
    pub(super) fn tag(&self) -> Option<u32> {
        let topology = self.topology.borrow();
        (0..MOST_TAGS).find(|tag| topology.owner(&format!("{{{tag}}}")) == Some(&self.node))
    }

    /// A new connection to it.
    pub(super) async fn connect(
        &self,
        settings: &RedisSettings,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let refused = |e: crate::StoreError| {
            RedisError::from((
                redis::ErrorKind::InvalidClientConfig,
                "the settings cannot be used",
                e.to_string(),
            ))
        };
        let info = settings.info_of(&self.node).map_err(refused)?;
        let client = tls::client(settings, info).map_err(refused)?;
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }
}
