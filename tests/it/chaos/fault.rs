//! Faults, and how they are repaired.

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
    /// A replica that may lack the last writes becomes the primary.
    FailedOver,
    /// Redis comes back with nothing.
    RedisEmptied,
}

impl Fault {
    /// The faults that must keep everything that a subscriber saw.
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

    /// Picks one of these. Dropping the pub/sub connections takes no time, so it comes more often than the others.
    pub(crate) fn any(of: &[Self], rng: &mut Rng) -> Self {
        if of.contains(&Self::ListenersDropped) && rng.u8(..10) < 4 {
            return Self::ListenersDropped;
        }
        of[rng.usize(..of.len())]
    }

    /// Breaks something and repairs it after some time.
    pub(crate) async fn strike(self, world: &mut World, rng: &mut Rng, story: &Story) {
        let pause = Duration::from_millis(rng.u64(20..1500));
        match self {
            Self::ApiKilled => {
                let which = rng.usize(..world.apis.len());
                story.fault(format_args!("API {which} is killed"));
                world.apis[which].restart(Service::api);
            }
            Self::GatewayKilled => {
                let which = rng.usize(..world.gateways.len());
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
                story.fault("Redis drops all pub/sub connections");
                world.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
            Self::MessagesLost => {
                let which = rng.usize(..world.gateways.len());
                story.fault(format_args!(
                    "gateway {which} loses pub/sub messages for {pause:?}"
                ));
                world.gateways[which].to_redis.lose_messages();
                sleep(pause).await;
                world.gateways[which].to_redis.release();
            }
            Self::FailedOver => {
                story.fault(format_args!(
                    "a failover loses the last {pause:?} of writes"
                ));
                world.fail_over(pause, story).await;
            }
            Self::RedisEmptied => {
                story.fault("Redis comes back empty");
                world.empty(story);
            }
            Self::NetworkCut | Self::NetworkHeld | Self::AnswersHeld | Self::NetworkRefused => {
                self.strike_network(world, pause, rng, story).await;
            }
        }
        story.fault("repaired");
    }

    async fn strike_network(self, world: &World, pause: Duration, rng: &mut Rng, story: &Story) {
        let (name, network) = world.network(rng);
        match self {
            Self::NetworkHeld => {
                story.fault(format_args!("{name} holds all bytes for {pause:?}"));
                network.hold();
            }
            Self::AnswersHeld => {
                story.fault(format_args!("{name} loses all answers for {pause:?}"));
                network.hold_answers();
            }
            Self::NetworkRefused => {
                story.fault(format_args!("{name} refuses connections for {pause:?}"));
                network.refuse(true);
            }
            _ => story.fault(format_args!("{name} loses its connections")),
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
