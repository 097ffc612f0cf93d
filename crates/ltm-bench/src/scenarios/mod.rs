//! What can be measured, and on which targets.

mod append;
mod append_floor;
mod burst;
mod catch_up;
mod document;
mod fan_out;
mod idle;
mod late_append;
mod latency;
mod latency_floor;
mod stalled;

use clap::{Parser, Subcommand};

use crate::{
    error::Error,
    report::Row,
    target::{Kind, Target},
};

/// A scenario as the words of a command.
#[derive(Parser)]
struct Words {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Scenario {
    /// One LTM, many subscribers: CPU per delivery.
    FanOut(fan_out::Load),
    /// Many subscribers resume far back in a log: what it costs, and whether reads are shared (on live).
    CatchUp(catch_up::Load),
    /// Connections on which nothing happens: memory of each.
    Idle(idle::Load),
    /// What a connection takes in memory a while after a burst (on live and nchan).
    Burst(burst::Load),
    /// What a connection takes in memory whose peer reads nothing (on live).
    Stalled(stalled::Load),
    /// From an append to its delivery at a fixed rate; the floor is PUBLISH to SUBSCRIBE.
    Latency(latency::Load),
    /// Appends as fast as they are answered; the floor is the script alone (on live and floor).
    Append(append::Load),
    /// Appends late in a long history beside appends early in a short one (on live).
    Late(late_append::Load),
    /// The document of a long history beside `redis-cli` that reads the stream (on live).
    Document(document::Load),
}

impl Scenario {
    /// The scenario that these arguments ask for.
    pub(crate) fn read(arguments: &str) -> Result<Self, Error> {
        let words = std::iter::once("ltm-bench").chain(arguments.split(' '));
        let asked = Words::try_parse_from(words);
        asked
            .map(|asked| asked.scenario)
            .map_err(|error| Error::Scenario(error.to_string()))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::FanOut(_) => "fan-out",
            Self::CatchUp(_) => "catch-up",
            Self::Idle(_) => "idle",
            Self::Burst(_) => "burst",
            Self::Stalled(_) => "stalled",
            Self::Latency(_) => "latency",
            Self::Append(_) => "append",
            Self::Late(_) => "late",
            Self::Document(_) => "document",
        }
    }

    /// Whether it says anything about such a target.
    pub(crate) fn is_for(&self, kind: Kind) -> bool {
        match self {
            // The floor writes each message to all sockets: it has one channel.
            Self::FanOut(load) => kind != Kind::Floor || load.ltms == 1,
            Self::Idle(_) | Self::Burst(_) => kind != Kind::Floor,
            Self::Latency(_) => true,
            // The floor does what is left of a patch when it comes to Redis.
            Self::Append(load) => {
                kind == Kind::Live || kind == Kind::Floor && load.body == append::RequestBody::Patch
            }
            Self::Stalled(_) | Self::CatchUp(_) | Self::Late(_) | Self::Document(_) => {
                kind == Kind::Live
            }
        }
    }

    /// Starts a target for it.
    pub(crate) fn target(&self, kind: Kind) -> Result<Target, Error> {
        match (self, kind) {
            (Self::Latency(_) | Self::Append(_), Kind::Floor) => Target::bare_redis(),
            _ => Target::start(kind),
        }
    }

    /// Measures it.
    pub(crate) fn run(&self, target: &mut Target) -> Result<Row, Error> {
        match *self {
            Self::FanOut(load) => fan_out::run(target, load),
            Self::CatchUp(load) => catch_up::run(target, load),
            Self::Idle(load) => idle::run(target, load),
            Self::Burst(load) => burst::run(target, load),
            Self::Stalled(load) => stalled::run(target, load),
            Self::Latency(load) if target.kind == Kind::Floor => latency_floor::run(target, load),
            Self::Append(load) if target.kind == Kind::Floor => append_floor::run(target, load),
            Self::Latency(load) => latency::run(target, load),
            Self::Append(load) => append::run(target, load),
            Self::Late(load) => late_append::run(target, load),
            Self::Document(load) => document::run(target, load),
        }
    }
}
