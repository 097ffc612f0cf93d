//! Redis Cluster: which primary has which keys.

use std::{collections::HashMap, time::Duration};

use redis::{
    RedisError, Value,
    cluster::{ClusterClient, NodeAddress},
    cluster_routing::{SingleNodeRoutingInfo, Slot},
    from_redis_value_ref as from_value,
};

use crate::{error::StoreError, redis::settings::RedisSettings, redis::tls};

/// How often a command is sent to where it was redirected, or again after a failure, until it has failed.
const TRIES: u32 = 4;
/// The pauses between them.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];

/// A client for all nodes.
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
        .retries(TRIES)
        .min_retry_wait(shortest)
        .max_retry_wait(longest)
        .tcp_settings(settings.connection_info()?.tcp_settings().clone());
    if let Some(certificates) = tls::for_nodes(settings)? {
        builder = builder.certs(certificates);
    }
    Ok(builder.build()?)
}

/// Which primary has which slots.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    primaries: Vec<NodeAddress>,
    /// Places in `primaries`.
    owners: HashMap<Slot, usize>,
}

impl Topology {
    /// Reads the answer to `CLUSTER SLOTS`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn read(answer: &Value) -> Result<Self, String> {
        let ranges: Vec<Vec<Value>> = from_value(answer).map_err(|e| e.to_string())?;
        let mut topology = Self::default();
        for range in ranges {
            let [first, last, primary, ..] = range.as_slice() else {
                return Err("a range of slots without a primary".into());
            };
            let number = |value| from_value::<u16>(value).map_err(|e| e.to_string());
            let slots = number(first)?..=number(last)?;
            let place = topology.place_of(node(primary)?);
            let slots = slots.filter_map(Slot::new);
            topology.owners.extend(slots.map(|slot| (slot, place)));
        }
        Ok(topology)
    }

    fn place_of(&mut self, node: NodeAddress) -> usize {
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

    /// The node that has this key.
    pub(crate) fn owner(&self, key: &str) -> Option<&NodeAddress> {
        let place = self.owners.get(&Slot::for_key(key))?;
        self.primaries.get(*place)
    }
}

/// Reads host and port of a node.
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
            "a node does not know its own address: set cluster-announce-ip or cluster-announce-hostname on it"
                .into(),
        ),
    }
}

/// For a command to this node.
pub(crate) fn at(node: &NodeAddress) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::ByAddress {
        host: node.host().to_owned(),
        port: node.port(),
    }
}

/// The error for an answer about the cluster that cannot be read.
pub(crate) fn unreadable(detail: String) -> RedisError {
    RedisError::from((
        redis::ErrorKind::UnexpectedReturnType,
        "CLUSTER SLOTS cannot be used",
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
    fn every_key_has_the_primary_whose_slots_hold_it() {
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
    fn a_node_without_an_address_is_said() {
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
