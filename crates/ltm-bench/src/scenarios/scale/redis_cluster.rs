//! A Redis Cluster of primaries.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    load::redis::Redis,
    targets::{
        commands,
        process::{Process, START, free_port},
    },
};

/// The slots of a cluster.
const SLOTS: usize = 16_384;

/// A running cluster.
pub(super) struct RedisCluster {
    pub(super) primaries: Vec<Process>,
    /// The addresses of all primaries, as the services expect them.
    pub(super) nodes: String,
}

impl RedisCluster {
    /// Starts the primaries, gives each an equal share of the slots, and waits until all know each other.
    pub(super) fn start(count: usize, folder: &Path) -> Result<Self, Error> {
        let mut primaries = Vec::with_capacity(count);
        let mut addresses: Vec<String> = Vec::with_capacity(count);
        let mut first_bus = 0;
        for place in 0..count {
            let (process, address, bus) = start_primary(&folder.join(place.to_string()))?;
            let mut redis = Redis::connect(&address)?;
            let (first, last) = slots(place, count);
            let (first, last) = (first.to_string(), last.to_string());
            redis.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
            redis.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()])?;
            if let Some((host, port)) = addresses.first().and_then(|first| first.split_once(':')) {
                redis.ask(&["CLUSTER", "MEET", host, port, &first_bus.to_string()])?;
            } else {
                first_bus = bus;
            }
            primaries.push(process);
            addresses.push(address);
        }
        let began = Instant::now();
        for address in &addresses {
            let mut redis = Redis::connect(address)?;
            while !is_complete(&mut redis, count)? {
                if began.elapsed() > START {
                    return Err(Error::Start("Redis Cluster"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let nodes = addresses.join(",");
        Ok(Self { primaries, nodes })
    }
}

/// Starts one primary; returns its address and the port of its bus, too.
fn start_primary(folder: &Path) -> Result<(Process, String, u16), Error> {
    std::fs::create_dir(folder)?;
    // The usual port of the bus, 10,000 higher, may not exist.
    let (port, bus) = (free_port()?, free_port()?);
    let address = format!("127.0.0.1:{port}");
    let mut command = commands::redis(port, folder);
    command
        .args(["--cluster-enabled", "yes"])
        .args(["--cluster-port", &bus.to_string()])
        // A child that rewrites the file takes its CPU time with it when it ends, and may or may not run during a
        // measurement.
        .args(["--auto-aof-rewrite-percentage", "0"]);
    let process = Process::start("redis", &mut command, &address)?;
    Ok((process, address, bus))
}

/// The first and the last slot of a primary.
fn slots(place: usize, count: usize) -> (usize, usize) {
    (place * SLOTS / count, (place + 1) * SLOTS / count - 1)
}

/// Whether a primary knows all others, and which of them has which slot.
fn is_complete(redis: &mut Redis, count: usize) -> Result<bool, Error> {
    let told = redis.ask(&["CLUSTER", "INFO"])?.concat();
    let known = format!("cluster_known_nodes:{count}");
    let has = |line: &str| told.lines().any(|told| told == line);
    Ok(has("cluster_state:ok") && has(&known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primaries_have_all_slots_and_none_twice() {
        for count in 1..=7 {
            let mut next = 0;
            for place in 0..count {
                let (first, last) = slots(place, count);
                assert_eq!(first, next);
                next = last + 1;
            }
            assert_eq!(next, SLOTS);
        }
    }
}
