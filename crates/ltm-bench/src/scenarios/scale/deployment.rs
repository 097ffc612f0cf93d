//! The processes of one size: a Redis Cluster, APIs and gateways.

use std::time::Duration;

use tempfile::TempDir;

use super::{load::Load, redis_cluster::RedisCluster};
use crate::{
    error::Error,
    targets::{commands, process::Process},
};

/// The time for which a gateway that stops still accepts subscribers. No proxy has to notice it.
const DRAIN_NOTICE: Duration = Duration::from_millis(500);
/// The longest wait for a gateway after the end of its drain.
const STOP: Duration = Duration::from_secs(30);

/// The running processes. They end when this is dropped: the services before Redis.
pub(super) struct Deployment {
    gateways: Vec<Service>,
    apis: Vec<Service>,
    redis: RedisCluster,
    /// The time over which a gateway spreads the closing of its sockets.
    drain_time: Duration,
    sweep_interval: Duration,
    _folder: TempDir,
}

/// A service and its address.
struct Service {
    process: Process,
    address: String,
}

/// The CPU time of all processes of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cpu {
    pub(super) api: Duration,
    pub(super) gateway: Duration,
    pub(super) redis: Duration,
}

impl Cpu {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            api: self.api.saturating_sub(before.api),
            gateway: self.gateway.saturating_sub(before.gateway),
            redis: self.redis.saturating_sub(before.redis),
        }
    }

    pub(super) fn all(self) -> Duration {
        self.api + self.gateway + self.redis
    }
}

impl Deployment {
    pub(super) fn start(load: &Load) -> Result<Self, Error> {
        let folder = TempDir::new()?;
        let mut deployment = Self {
            redis: RedisCluster::start(usize::from(load.primaries), folder.path())?,
            apis: Vec::new(),
            gateways: Vec::new(),
            drain_time: Duration::from_secs(load.seconds) / 4,
            sweep_interval: Duration::from_secs(load.sweep_interval),
            _folder: folder,
        };
        for _ in 0..load.apis {
            let api = deployment.start_service("ltm-api", "127.0.0.1:0")?;
            deployment.apis.push(api);
        }
        for number in 1..=load.gateways {
            // Each has an address of its own, from which no program connects. So its port is free when a new process
            // takes its place.
            let listen = format!("127.0.1.{number}:0");
            let gateway = deployment.start_service("ltm-gateway", &listen)?;
            deployment.gateways.push(gateway);
        }
        Ok(deployment)
    }

    fn start_service(&self, name: &'static str, listen: &str) -> Result<Service, Error> {
        let mut command = commands::service(name)?;
        let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
        command
            .env("LTM__REDIS__CLUSTER_NODES", &self.redis.nodes)
            .env("LTM__API__LISTEN", listen)
            .env("LTM__GATEWAY__LISTEN", listen)
            .env("LTM__GATEWAY__DRAIN_NOTICE", milliseconds(DRAIN_NOTICE))
            .env("LTM__GATEWAY__DRAIN_TIME", milliseconds(self.drain_time))
            .env(
                "LTM__GATEWAY__SWEEP_INTERVAL",
                milliseconds(self.sweep_interval),
            );
        let (process, address) = Process::service(name, &mut command)?;
        Ok(Service { process, address })
    }

    /// Kills a gateway, and starts a new one at its address.
    pub(super) fn kill_gateway(&mut self, place: usize) -> Result<(), Error> {
        self.gateways[place].process.kill();
        self.restart_gateway(place)
    }

    /// Stops a gateway, waits until it has sent its subscribers away, and starts a new one at its address.
    pub(super) fn drain_gateway(&mut self, place: usize) -> Result<(), Error> {
        let longest = DRAIN_NOTICE + self.drain_time + STOP;
        if !self.gateways[place].process.stop(longest) {
            return Err(Error::Stop("ltm-gateway"));
        }
        self.restart_gateway(place)
    }

    fn restart_gateway(&mut self, place: usize) -> Result<(), Error> {
        let listen = self.gateways[place].address.clone();
        self.gateways[place] = self.start_service("ltm-gateway", &listen)?;
        Ok(())
    }

    /// The address of a gateway.
    pub(super) fn gateway(&self, place: usize) -> &str {
        &self.gateways[place].address
    }

    /// The addresses of the APIs.
    pub(super) fn apis(&self) -> Vec<String> {
        self.apis.iter().map(|api| api.address.clone()).collect()
    }

    /// The CPU time so far.
    pub(super) fn cpu(&self) -> Cpu {
        let of = |services: &[Service]| services.iter().map(|it| it.process.cpu()).sum();
        Cpu {
            api: of(&self.apis),
            gateway: of(&self.gateways),
            redis: self.redis.primaries.iter().map(Process::cpu).sum(),
        }
    }

    /// The memory of all gateways, in bytes.
    pub(super) fn memory(&self) -> f64 {
        let memory = self.gateways.iter().map(|it| it.process.memory());
        memory.sum::<u64>() as f64
    }
}
