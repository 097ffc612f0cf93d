//! One connection to Redis: to one server, or to all nodes of a cluster.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt};
use redis::{
    Arg, Cmd, Pipeline, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
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

    /// Sends those commands again whose slots have moved or are moving: slot by slot, and those that still fail one
    /// after another. For reads: the client of the cluster fails a whole part for one of them. While a slot moves, its
    /// new server answers one command after each ASKING, which the client sends apart from the command.
    pub(crate) async fn send_moved(&mut self, pipeline: &Pipeline, answers: &mut [Answer]) {
        let Self::Cluster(connection) = self else {
            return;
        };
        let (mut again, mut indices) = (Pipeline::new(), Vec::new());
        for (index, (cmd, answer)) in pipeline.cmd_iter().zip(&*answers).enumerate() {
            if answer.as_ref().is_err_and(cluster::is_moved) {
                again.add_command(cmd.clone());
                indices.push(index);
            }
        }
        let mut found = send_parts(connection, &again, None).await;
        for (cmd, answer) in again.cmd_iter().zip(&mut found) {
            if answer.as_ref().is_err_and(cluster::is_moved) {
                *answer = connection.req_packed_command(cmd).await;
                if answer.as_ref().is_err_and(RedisError::is_timeout) {
                    // The others would wait as long.
                    break;
                }
            }
        }
        for (index, answer) in indices.into_iter().zip(found) {
            answers[index] = answer;
        }
    }
}

/// The commands of a pipeline that go together.
struct Part {
    /// Where the first of them goes.
    slot: Slot,
    pipeline: Pipeline,
    /// The indices of these commands in the whole pipeline.
    indices: Vec<usize>,
}

async fn send_parts(
    connection: &ClusterConnection,
    pipeline: &Pipeline,
    known: Option<&Topology>,
) -> Vec<Answer> {
    let send = |part: Part| {
        let mut connection = connection.clone();
        async move {
            let count = part.indices.len();
            // By a slot, not by the address: the client finds another server if this one is away.
            let route = Route::with_slot(part.slot, SlotAddr::Master);
            let to = SingleNodeRoutingInfo::SpecificNode(route);
            let answers = connection.route_pipeline(part.pipeline, 0, count, to).await;
            (part.indices, answers)
        }
    };
    let mut answers: Vec<Answer> = vec![Ok(Value::Nil); pipeline.len()];
    let parts = parts_of(pipeline, known);
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

/// Splits a pipeline by slot, or by primary if it is known which one has a slot. Each part keeps the order of the whole. A
/// command without a key, such as WAIT, belongs to the command before it.
fn parts_of(pipeline: &Pipeline, known: Option<&Topology>) -> Vec<Part> {
    let mut places = HashMap::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut slot = Slot::for_key("");
    for (index, cmd) in pipeline.cmd_iter().enumerate() {
        slot = key_of(cmd).map_or(slot, Slot::for_key);
        let owner = known.and_then(|it| it.owner_of(slot));
        let place = places.entry(owner.ok_or(slot)).or_insert(parts.len());
        if *place == parts.len() {
            parts.push(Part {
                slot,
                pipeline: Pipeline::new(),
                indices: Vec::new(),
            });
        }
        let part = &mut parts[*place];
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
        let [one, two] = &parts_of(&pipeline, None)[..] else {
            panic!("there are two slots");
        };
        assert_eq!(one.indices, [0, 2]);
        assert_eq!(two.indices, [1, 3, 4]);
        assert_eq!((two.slot, two.pipeline.len()), (Slot::for_key("2"), 3));
    }

    #[test]
    fn a_primary_gets_the_commands_for_all_of_its_slots_together() {
        // CLUSTER KEYSLOT: {1} is in 9842, {3} in 1584, {4} in 14039. No primary has the last one.
        let topology = Topology::of(&[("a", 0..=9000), ("b", 9001..=14_000)]);
        let mut pipeline = redis::pipe();
        for id in [1, 3, 4, 1] {
            let key = format!("ltm:{{{id}}}:meta");
            pipeline.cmd("HGET").arg(key).arg("cursor");
        }
        let parts = parts_of(&pipeline, Some(&topology));
        let indices: Vec<&[usize]> = parts.iter().map(|part| &part.indices[..]).collect();
        assert_eq!(indices, [&[0, 3][..], &[1], &[2]]);
    }
}
