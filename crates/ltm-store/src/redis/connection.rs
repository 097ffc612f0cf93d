//! One connection to Redis: to one server, or to all nodes of a cluster.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt};
use redis::{
    Arg, Cmd, Pipeline, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::NodeAddress,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr},
};

use super::cluster::{self, Topology};

/// The most parts of one pipeline that are sent at once.
const PARTS_AT_ONCE: usize = 64;

/// The answer to one command.
pub(crate) type Answer = Result<Value, RedisError>;

/// A connection. Clones share it.
#[derive(Clone)]
pub(crate) enum RedisConnection {
    /// To one server.
    Single(MultiplexedConnection),
    /// To all nodes of a cluster. It finds the right node, reconnects by itself, and may send a command twice.
    Cluster(ClusterConnection),
}

impl RedisConnection {
    /// Whether it reconnects by itself.
    pub(crate) fn reconnects(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Sends one command.
    pub(crate) async fn send(&mut self, cmd: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Single(connection) => connection.send_packed_command(cmd).await,
            Self::Cluster(connection) => connection.req_packed_command(cmd).await,
        }
    }

    /// Sends one command to a node of the cluster. A single server gets every command.
    pub(crate) async fn send_to(
        &mut self,
        node: SingleNodeRoutingInfo,
        cmd: &Cmd,
    ) -> Result<Value, RedisError> {
        match self {
            Self::Single(connection) => connection.send_packed_command(cmd).await,
            Self::Cluster(connection) => {
                let to = RoutingInfo::SingleNode(node);
                connection.route_command(cmd.clone(), to).await
            }
        }
    }

    /// Sends several commands to a node of the cluster. A single server gets every command.
    pub(crate) async fn send_all_to(
        &mut self,
        node: SingleNodeRoutingInfo,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Answer>, RedisError> {
        let answers = match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, 0, count).await?,
            Self::Cluster(connection) => {
                let pipeline = pipeline.clone();
                connection.route_pipeline(pipeline, 0, count, node).await?
            }
        };
        Ok(answers.into_iter().map(Value::extract_error).collect())
    }

    /// Sends several commands. The answers are in the order of the commands. In a cluster, the servers answer
    /// independently of each other. If it is `known` which server has which slot, each server gets its commands together.
    pub(crate) async fn send_all(
        &mut self,
        pipeline: &Pipeline,
        count: usize,
        known: Option<&Topology>,
    ) -> Result<Vec<Answer>, RedisError> {
        match self {
            Self::Single(connection) => {
                let answers = connection.req_packed_commands(pipeline, 0, count).await?;
                Ok(answers.into_iter().map(Value::extract_error).collect())
            }
            Self::Cluster(connection) => Ok(send_parts(connection, pipeline, known).await),
        }
    }
}

/// Where the commands of a part go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Destination {
    /// To this primary.
    Primary(NodeAddress),
    /// To the primary that has this slot, as the client of the cluster knows.
    Slot(Slot),
}

impl Destination {
    fn of(slot: Slot, known: Option<&Topology>) -> Self {
        let owner = known.and_then(|it| it.owner_of(slot));
        owner.map_or(Self::Slot(slot), |owner| Self::Primary(owner.clone()))
    }

    fn route(&self) -> SingleNodeRoutingInfo {
        match self {
            Self::Primary(node) => cluster::route_to(node),
            Self::Slot(slot) => {
                SingleNodeRoutingInfo::SpecificNode(Route::with_slot(*slot, SlotAddr::Master))
            }
        }
    }
}

/// The commands of a pipeline for one destination.
#[derive(Default)]
struct Part {
    pipeline: Pipeline,
    /// The indices of these commands in the whole pipeline.
    indices: Vec<usize>,
}

async fn send_parts(
    connection: &ClusterConnection,
    pipeline: &Pipeline,
    known: Option<&Topology>,
) -> Vec<Answer> {
    let parts = parts_of(pipeline, known);
    let send = |(to, part): (Destination, Part)| {
        let mut connection = connection.clone();
        async move {
            let count = part.indices.len();
            let to = to.route();
            let answers = connection.route_pipeline(part.pipeline, 0, count, to).await;
            (part.indices, answers)
        }
    };
    let mut answers: Vec<Answer> = vec![Ok(Value::Nil); pipeline.len()];
    let mut parts = stream::iter(parts.into_iter().map(send)).buffer_unordered(PARTS_AT_ONCE);
    while let Some((indices, part)) = parts.next().await {
        match part {
            Ok(part) => {
                for (index, answer) in indices.into_iter().zip(part) {
                    answers[index] = answer.extract_error();
                }
            }
            Err(error) => {
                for index in indices {
                    answers[index] = Err(error.clone());
                }
            }
        }
    }
    answers
}

/// Splits a pipeline by destination. Each part keeps the order of the whole. A command without a key, such as WAIT, belongs
/// to the command before it.
fn parts_of(pipeline: &Pipeline, known: Option<&Topology>) -> HashMap<Destination, Part> {
    let mut parts: HashMap<Destination, Part> = HashMap::new();
    let mut slot = Slot::for_key("");
    for (index, cmd) in pipeline.cmd_iter().enumerate() {
        slot = key_of(cmd).map_or(slot, Slot::for_key);
        let part = parts.entry(Destination::of(slot, known)).or_default();
        part.pipeline.add_command(cmd.clone());
        part.indices.push(index);
    }
    parts
}

/// The primary that executes a command.
pub(crate) fn route_of(cmd: &Cmd) -> SingleNodeRoutingInfo {
    key_of(cmd).map_or(SingleNodeRoutingInfo::Random, |key| {
        SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master))
    })
}

/// The first key of a command, which decides its slot. It knows the commands that the store puts into pipelines, and
/// script calls.
fn key_of(cmd: &Cmd) -> Option<&[u8]> {
    let argument = |at| match cmd.args_iter().nth(at) {
        Some(Arg::Simple(argument)) => Some(argument),
        _ => None,
    };
    match argument(0)? {
        b"WAIT" => None,
        b"EVALSHA" => argument(3),
        _ => argument(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_split_by_slot_and_each_part_keeps_its_order() {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGET").arg("ltm:{1}:meta").arg("cursor");
        pipeline.cmd("HGET").arg("ltm:{2}:meta").arg("cursor");
        pipeline.cmd("XRANGE").arg("ltm:{1}:log").arg("-").arg("+");
        let script = pipeline.cmd("EVALSHA").arg("hash").arg(1);
        script.arg("ltm:{2}:log").arg("ltm:{1}:log");
        pipeline.cmd("WAIT").arg(1).arg(100);
        let parts = parts_of(&pipeline, None);
        let [one, two] = ["1", "2"].map(|key| Destination::Slot(Slot::for_key(key)));
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[&one].indices, [0, 2]);
        assert_eq!(parts[&two].indices, [1, 3, 4]);
        assert_eq!(parts[&two].pipeline.len(), 3);
    }

    #[test]
    fn a_primary_gets_the_commands_for_all_of_its_slots_together() {
        // CLUSTER KEYSLOT: {1} is in 9842, {3} in 1584, {4} in 14039. Nobody has the last one.
        let topology = Topology::of(&[("a", 0..=9000), ("b", 9001..=14_000)]);
        let mut pipeline = redis::pipe();
        for id in [1, 3, 4, 1] {
            pipeline
                .cmd("HGET")
                .arg(format!("ltm:{{{id}}}:meta"))
                .arg("cursor");
        }
        let parts = parts_of(&pipeline, Some(&topology));
        let [a, b] = ["a", "b"].map(|host| Destination::Primary(NodeAddress::new(host, 1)));
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[&a].indices, [1]);
        assert_eq!(parts[&b].indices, [0, 3]);
        assert_eq!(parts[&Destination::Slot(Slot::for_key("4"))].indices, [2]);
    }
}
