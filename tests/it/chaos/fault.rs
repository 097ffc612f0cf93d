//! What is broken, and mended again.

use std::time::Duration;

use fastrand::Rng;
use ltm_tests::Service;
use tokio::time::sleep;

use super::{story::Story, world::World};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ApiKilled,
    GatewayKilled,
    RedisKilled,
    RedisPaused,
    RedisWithoutMemory,
    ListenersDropped,
    MessagesLost,
    NetworkCut,
    NetworkHeld,
    AnswersHeld,
    NetworkRefused,
    /// To a replica that may lack the last writes.
    FailedOver,
    /// Redis comes back with nothing.
    RedisEmptied,
}

impl Fault {
    /// Those that may take nothing that was acknowledged.
    pub(crate) const KEEPING: &[Self] = &[
        Self::ApiKilled,
        Self::GatewayKilled,
        Self::RedisKilled,
        Self::RedisPaused,
        Self::RedisWithoutMemory,
        Self::ListenersDropped,
        Self::MessagesLost,
        Self::NetworkCut,
        Self::NetworkHeld,
        Self::AnswersHeld,
        Self::NetworkRefused,
    ];

    /// One of these. The others take longer: listeners are dropped as often as to make up for it.
    pub(crate) fn any(of: &[Self], rng: &mut Rng) -> Self {
        if of.contains(&Self::ListenersDropped) && rng.u8(..10) < 4 {
            return Self::ListenersDropped;
        }
        of[rng.usize(..of.len())]
    }

    /// Breaks it, and mends it after some time.
    pub(crate) async fn strike(self, world: &mut World, rng: &mut Rng, story: &Story) {
        let which = rng.usize(..2);
        let pause = Duration::from_millis(rng.u64(20..1500));
        match self {
            Self::ApiKilled => {
                story.fault(format_args!("API {which} is killed"));
                world.apis[which].restart(Service::api);
            }
            Self::GatewayKilled => {
                story.fault(format_args!("gateway {which} is killed"));
                world.gateways[which].restart(Service::gateway);
            }
            Self::RedisKilled => {
                story.fault(format_args!("Redis is killed for {pause:?}"));
                world.redis.kill();
                sleep(pause).await;
                world.redis.restart();
            }
            Self::RedisPaused => {
                story.fault(format_args!("Redis is paused for {pause:?}"));
                world.redis.pause();
                sleep(pause).await;
                world.redis.resume();
            }
            Self::RedisWithoutMemory => {
                story.fault(format_args!("Redis has no memory left for {pause:?}"));
                world.redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
                sleep(pause).await;
                world.redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            Self::ListenersDropped => {
                story.fault("Redis drops whoever listens");
                world.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
            Self::MessagesLost => {
                let lost = format_args!("gateway {which} misses messages for {pause:?}");
                story.fault(lost);
                world.gateways[which].to_redis.lose_messages();
                sleep(pause).await;
                world.gateways[which].to_redis.release();
            }
            Self::FailedOver => {
                story.fault(format_args!("a failover loses the writes of {pause:?}"));
                world.fail_over(pause).await;
            }
            Self::RedisEmptied => {
                story.fault("Redis comes back empty");
                world.redis.restart_empty();
            }
            Self::NetworkCut | Self::NetworkHeld | Self::AnswersHeld | Self::NetworkRefused => {
                self.strike_network(world, which, pause, rng, story).await;
            }
        }
        story.fault("it is over");
    }

    async fn strike_network(
        self,
        world: &World,
        which: usize,
        pause: Duration,
        rng: &mut Rng,
        story: &Story,
    ) {
        let (name, network) = world.network(which, rng);
        match self {
            Self::NetworkHeld => {
                story.fault(format_args!("{name} holds everything for {pause:?}"));
                network.hold();
            }
            Self::AnswersHeld => {
                story.fault(format_args!("{name} loses the answers of {pause:?}"));
                network.hold_answers();
            }
            Self::NetworkRefused => {
                story.fault(format_args!("{name} refuses connections for {pause:?}"));
                network.refuse(true);
            }
            _ => story.fault(format_args!("connections over {name} are cut")),
        }
        if self != Self::NetworkHeld {
            if self == Self::AnswersHeld {
                sleep(pause).await;
            }
            network.cut();
        }
        if self == Self::NetworkHeld || self == Self::NetworkRefused {
            sleep(pause).await;
        }
        network.release();
        network.refuse(false);
    }
}
