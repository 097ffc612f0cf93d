//! What can be measured, and on which targets.

use std::net::SocketAddr;

use clap::Subcommand;

use crate::{
    append, catch_up,
    error::Error,
    fan_out, idle, latency,
    report::Row,
    target::{Kind, Target},
};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Scenario {
    /// One LTM, many subscribers: CPU per delivery.
    FanOut(fan_out::Load),
    /// Many subscribers resume far back in a log: what it costs, and whether reads are shared (on live).
    CatchUp(catch_up::Load),
    /// Connections on which nothing happens: memory of each.
    Idle(idle::Load),
    /// From an append to its delivery at a fixed rate (on live and nchan).
    Latency(latency::Load),
    /// Appends as fast as they are answered (on live).
    Append(append::Load),
    #[command(hide = true)]
    Floor { address: SocketAddr },
}

impl Scenario {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::FanOut(_) => "fan-out",
            Self::CatchUp(_) => "catch-up",
            Self::Idle(_) => "idle",
            Self::Latency(_) => "latency",
            Self::Append(_) => "append",
            Self::Floor { .. } => "floor",
        }
    }

    /// Whether it says anything about such a target.
    pub(crate) fn is_for(&self, kind: Kind) -> bool {
        match self {
            // The floor writes each message to all sockets: it has one channel.
            Self::FanOut(load) => kind != Kind::Floor || load.ltms == 1,
            Self::Idle(_) | Self::Latency(_) => kind != Kind::Floor,
            Self::Append(_) | Self::CatchUp(_) => kind == Kind::Live,
            Self::Floor { .. } => false,
        }
    }

    /// Starts a target for it.
    pub(crate) fn target(&self, kind: Kind) -> Result<Target, Error> {
        Target::start(kind)
    }

    /// Measures it.
    pub(crate) fn run(&self, target: &Target) -> Result<Row, Error> {
        match *self {
            Self::FanOut(load) => fan_out::run(target, load),
            Self::CatchUp(load) => catch_up::run(target, load),
            Self::Idle(load) => idle::run(target, load),
            Self::Latency(load) => latency::run(target, load),
            Self::Append(load) => append::run(target, load),
            Self::Floor { .. } => unreachable!("it is for no target"),
        }
    }
}
