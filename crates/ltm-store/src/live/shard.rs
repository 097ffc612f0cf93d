//! One primary of a cluster, and which LTMs it has.

use std::sync::Arc;

use ltm_types::{LtmId, keys};
use redis::{AsyncConnectionConfig, RedisError, aio::MultiplexedConnection, cluster::NodeAddress};
use tokio::sync::watch;

use crate::redis::{cluster::Topology, settings::RedisSettings, tls};

/// The most hash tags that are tried until one belongs to a primary. That is enough to find a primary with one slot.
const MAX_TAGS: u32 = 1 << 20;

/// One primary of a cluster.
pub(super) struct Shard {
    node: NodeAddress,
    topology: watch::Receiver<Arc<Topology>>,
}

impl Shard {
    pub(super) fn new(node: NodeAddress, topology: watch::Receiver<Arc<Topology>>) -> Self {
        Self { node, topology }
    }

    pub(super) fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// Changes when slots have moved.
    pub(super) fn moves(&self) -> watch::Receiver<Arc<Topology>> {
        self.topology.clone()
    }

    /// Whether it has slots, and its owner still asks the cluster.
    pub(super) fn is_primary(&self) -> bool {
        let is_watched = self.topology.has_changed().is_ok();
        is_watched && self.topology.borrow().primaries().contains(&self.node)
    }

    /// Whether it has the keys of this LTM.
    pub(super) fn has(&self, id: LtmId) -> bool {
        self.topology.borrow().owner(&keys::log(id)) == Some(&self.node)
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
