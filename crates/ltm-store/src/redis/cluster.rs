//! Redis Cluster: the client, and the slots of each primary.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use redis::{
    ErrorKind, RedisError, ServerErrorKind, Value,
    cluster::{ClusterClient, NodeAddress},
    cluster_routing::{SingleNodeRoutingInfo, Slot},
    from_redis_value_ref as from_value,
};

use crate::{error::StoreError, redis::settings::RedisSettings, redis::tls};

/// The most times that a command is sent again, after a redirection or a failure.
const RETRIES: u32 = 4;
/// The shortest and the longest pause before that.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];

/// A client of all nodes.
///
/// # Errors
///
/// [`StoreError::Setting`] if a setting cannot be used.
pub(crate) fn client(settings: &RedisSettings) -> Result<ClusterClient, StoreError> {
    let nodes = settings.cluster_infos()?;
    let [shortest, longest] = PAUSES.map(|pause| pause.as_millis() as u64);
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(settings.connect_timeout)
        .response_timeout(settings.response_timeout)
        .overall_response_timeout(Some(settings.response_timeout))
        .retries(RETRIES)
        .min_retry_wait(shortest)
        .max_retry_wait(longest)
        .tcp_settings(settings.connection_info()?.tcp_settings().clone());
    if let Some(certificates) = tls::for_nodes(settings)? {
        builder = builder.certs(certificates);
    }
    Ok(builder.build()?)
}

/// The slots of each primary.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    primaries: Vec<NodeAddress>,
    /// The index in `primaries` of the owner of each slot.
    owners: HashMap<Slot, usize>,
}

impl Topology {
    /// Reads the answer to `CLUSTER SLOTS`.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with the answer.
    pub(crate) fn read(answer: &Value) -> Result<Self, String> {
        let ranges: Vec<Vec<Value>> = from_value(answer).map_err(|e| e.to_string())?;
        let mut topology = Self::default();
        for range in ranges {
            let [first, last, primary, ..] = range.as_slice() else {
                return Err("a range of slots has no primary".into());
            };
            let number = |value| from_value::<u16>(value).map_err(|e| e.to_string());
            let slots = number(first)?..=number(last)?;
            let owner = topology.index_of(node(primary)?);
            let slots = slots.filter_map(Slot::new);
            topology.owners.extend(slots.map(|slot| (slot, owner)));
        }
        Ok(topology)
    }

    fn index_of(&mut self, node: NodeAddress) -> usize {
        let known = self.primaries.iter().position(|it| *it == node);
        known.unwrap_or_else(|| {
            self.primaries.push(node);
            self.primaries.len() - 1
        })
    }

    /// The nodes that have slots.
    pub(crate) fn primaries(&self) -> &[NodeAddress] {
        &self.primaries
    }

    /// Whether each slot has the same owner as in another topology.
    pub(crate) fn has_owners_of(&self, other: &Self) -> bool {
        let is_same = |(slot, owner): (&Slot, &usize)| {
            let theirs = other.owners.get(slot);
            theirs.and_then(|it| other.primaries.get(*it)) == self.primaries.get(*owner)
        };
        self.owners.len() == other.owners.len() && self.owners.iter().all(is_same)
    }

    /// The node that has this key.
    pub(crate) fn owner(&self, key: &str) -> Option<&NodeAddress> {
        self.owner_of(Slot::for_key(key))
    }

    /// The node that has this slot.
    pub(crate) fn owner_of(&self, slot: Slot) -> Option<&NodeAddress> {
        self.primaries.get(*self.owners.get(&slot)?)
    }

    /// The slots of these hosts.
    #[cfg(test)]
    pub(crate) fn of(ranges: &[(&str, std::ops::RangeInclusive<u16>)]) -> Self {
        let mut topology = Self::default();
        for (host, slots) in ranges {
            let owner = topology.index_of(NodeAddress::new(*host, 1));
            let slots = slots.clone().filter_map(Slot::new);
            topology.owners.extend(slots.map(|slot| (slot, owner)));
        }
        topology
    }
}

/// Which primary has which slot, as far as that is certain.
#[derive(Default)]
pub(crate) struct KnownTopology {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    topology: Option<Arc<Topology>>,
    /// When it was last wrong.
    doubted: Option<Instant>,
}

/// A topology that was wrong is not used for this time: slots move for a while, and a primary that is down has its slots
/// until another one takes its place.
const DOUBT: Duration = Duration::from_secs(30);

impl KnownTopology {
    /// The topology, if it is certain.
    pub(crate) fn get(&self) -> Option<Arc<Topology>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.topology.clone()
    }

    /// Takes what the cluster reports.
    pub(crate) fn remember(&self, topology: Arc<Topology>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.doubted.is_none_or(|then| then.elapsed() >= DOUBT) {
            known.topology = Some(topology);
        }
    }

    /// Forgets the topology, because a server did not answer as it says.
    pub(crate) fn doubt(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.topology = None;
        known.doubted = Some(Instant::now());
    }
}

/// Reads the host and the port of a node.
fn node(value: &Value) -> Result<NodeAddress, String> {
    let parts: Vec<Value> = from_value(value).map_err(|e| e.to_string())?;
    let host = parts
        .first()
        .and_then(|host| from_value::<Option<String>>(host).ok());
    let port = parts.get(1).and_then(|port| from_value::<u16>(port).ok());
    match (host.flatten(), port) {
        (Some(host), Some(port)) if !host.is_empty() && host != "?" => {
            Ok(NodeAddress::new(host, port))
        }
        _ => Err(
            "a node does not know its own address; set cluster-announce-ip or cluster-announce-hostname on it"
                .into(),
        ),
    }
}

/// The route to this node.
pub(crate) fn route_to(node: &NodeAddress) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::ByAddress {
        host: node.host().to_owned(),
        port: node.port(),
    }
}

/// Whether an error means that the slot moves, or that another server has it now.
pub(crate) fn is_moved(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain
        )
    )
}

/// The error for an answer to CLUSTER SLOTS that cannot be read.
pub(crate) fn unreadable(detail: String) -> RedisError {
    RedisError::from((
        ErrorKind::UnexpectedReturnType,
        "the answer to CLUSTER SLOTS cannot be read",
        detail,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![
            host,
            Value::Int(port),
            bulk("id"),
            Value::Array(vec![]),
        ]);
        Value::Array(vec![
            Value::Int(first),
            Value::Int(last),
            node.clone(),
            node,
        ])
    }

    #[test]
    fn the_owner_of_a_key_is_the_primary_with_its_slot() {
        let answer = Value::Array(vec![
            range(0, 8191, bulk("a"), 1),
            range(8192, 16000, bulk("b"), 2),
            range(16002, 16383, bulk("a"), 1),
        ]);
        let topology = Topology::read(&answer).unwrap();
        assert_eq!(topology.primaries().len(), 2);
        // CLUSTER KEYSLOT: {1} is in 9842, {3} in 1584.
        assert_eq!(topology.owner("ltm:{1}:log").unwrap().host(), "b");
        assert_eq!(topology.owner("ltm:{3}:meta").unwrap().host(), "a");
        assert!(!topology.owners.contains_key(&Slot::new(16001).unwrap()));
    }

    #[test]
    fn a_topology_that_was_wrong_is_not_used_again_at_once() {
        let known = KnownTopology::default();
        let topology = Arc::new(Topology::of(&[("a", 0..=16_383)]));
        known.remember(topology.clone());
        assert!(known.get().is_some());
        known.doubt();
        known.remember(topology);
        assert!(known.get().is_none());
    }

    #[test]
    fn a_node_without_an_address_is_an_error_with_advice() {
        for host in [bulk(""), bulk("?"), Value::Nil] {
            let answer = Value::Array(vec![range(0, 1, host, 1)]);
            assert!(
                Topology::read(&answer)
                    .unwrap_err()
                    .contains("cluster-announce-ip")
            );
        }
    }
}
