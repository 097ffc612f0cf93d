//! The scenarios, and the targets that each can measure.

mod append;
mod append_floor;
mod batch;
mod burst;
mod cached_state;
mod catch_up;
mod compression;
mod documents;
mod fan_out;
mod idle;
mod late_append;
mod latency;
mod latency_floor;
pub(crate) mod scale;
mod stalled;

use clap::{Parser, Subcommand};

use crate::{
    error::Error,
    report::{Row, sizes},
    targets::{Kind, Target},
};

/// A scenario as the words of a command.
#[derive(Parser)]
struct Words {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Scenario {
    /// One LTM with many subscribers: CPU time per delivery.
    FanOut(fan_out::Load),
    /// Recorded histories, compressed and not: bytes and CPU time per delivery (live only).
    Compression(compression::messages::Load),
    /// A large state that subscribers begin with, compressed and not: bytes and CPU time per subscriber (live only).
    Reset(compression::resets::Load),
    /// Many subscribers that resume far back in a log: cost, and whether they share reads (live only).
    CatchUp(catch_up::Load),
    /// Idle connections: memory per connection (not floor).
    Idle(idle::Load),
    /// Memory per connection a while after a burst (not floor).
    Burst(burst::Load),
    /// Memory of the API for each byte of the states that it caches (live only).
    CachedState(cached_state::Load),
    /// Memory per connection whose peer reads nothing (live only).
    Stalled(stalled::Load),
    /// Time from an append to its delivery at a fixed rate; the floor is PUBLISH to SUBSCRIBE.
    Latency(latency::Load),
    /// Appends, each as soon as the one before is answered; the floor is the script alone (live and floor).
    Append(append::Load),
    /// Snapshots in batches, compared with the same snapshots one by one (live only).
    Batch(batch::Load),
    /// Appends late in a long history, compared with appends early in a short one (live only).
    Late(late_append::Load),
    /// GET of a document with a long history, compared with `redis-cli` on the stream (live only).
    Document(documents::history::Load),
    /// Openings of one document by many clients, compared with nginx and a file of the same bytes (live only).
    Opening(documents::opening::Load),
    /// A Redis Cluster, three APIs and six gateways at several sizes: whether the cost of a delivery stays the same,
    /// and whether each entry arrives once if a gateway is killed and one is drained (live only).
    Scale(scale::Load),
}

impl Scenario {
    /// Parses a scenario from the words of a command.
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
            Self::Compression(_) => "compression",
            Self::Reset(_) => "reset",
            Self::CatchUp(_) => "catch-up",
            Self::Idle(_) => "idle",
            Self::Burst(_) => "burst",
            Self::CachedState(_) => "cached-state",
            Self::Stalled(_) => "stalled",
            Self::Latency(_) => "latency",
            Self::Append(_) => "append",
            Self::Batch(_) => "batch",
            Self::Late(_) => "late",
            Self::Document(_) => "document",
            Self::Opening(_) => "opening",
            Self::Scale(_) => sizes::SCENARIO,
        }
    }

    /// Whether the scenario can measure such a target.
    pub(crate) fn is_for(&self, kind: Kind) -> bool {
        match self {
            // The floor has one channel: it writes each message to all sockets.
            Self::FanOut(load) => kind != Kind::Floor || load.ltms == 1,
            Self::Idle(_) | Self::Burst(_) => kind != Kind::Floor,
            Self::Latency(_) => true,
            // The floor makes only the calls to Redis that remain of a patch.
            Self::Append(load) => {
                kind == Kind::Live || kind == Kind::Floor && load.body == append::RequestBody::Patch
            }
            Self::Stalled(_)
            | Self::CachedState(_)
            | Self::Compression(_)
            | Self::Reset(_)
            | Self::CatchUp(_)
            | Self::Batch(_)
            | Self::Late(_)
            | Self::Document(_)
            | Self::Opening(_)
            | Self::Scale(_) => kind == Kind::Live,
        }
    }

    /// The measurements of the scenario, each with a row of its own.
    pub(crate) fn parts(&self) -> Vec<Self> {
        match self {
            Self::Scale(load) => load.sizes().map(Self::Scale).collect(),
            other => vec![other.clone()],
        }
    }

    /// Measures a target of this kind, or the services at the addresses of an API and a gateway.
    pub(crate) fn measure(
        &self,
        kind: Kind,
        external: Option<&(String, String)>,
    ) -> Result<Row, Error> {
        match (self, kind, external) {
            (Self::Scale(load), _, None) => scale::run(load),
            (_, Kind::Live, Some((api, gateway))) => {
                self.run(&mut Target::external(api.clone(), gateway.clone())?)
            }
            (Self::Latency(_) | Self::Append(_), Kind::Floor, _) => {
                self.run(&mut Target::bare_redis()?)
            }
            _ => self.run(&mut Target::start(kind)?),
        }
    }

    fn run(&self, target: &mut Target) -> Result<Row, Error> {
        match *self {
            Self::FanOut(load) => fan_out::run(target, load),
            Self::Compression(ref load) => compression::messages::run(target, load),
            Self::Reset(load) => compression::resets::run(target, load),
            Self::CatchUp(load) => catch_up::run(target, load),
            Self::Idle(load) => idle::run(target, load),
            Self::Burst(load) => burst::run(target, load),
            Self::CachedState(load) => cached_state::run(target, load),
            Self::Stalled(load) => stalled::run(target, load),
            Self::Latency(load) if target.kind == Kind::Floor => latency_floor::run(target, load),
            Self::Append(load) if target.kind == Kind::Floor => append_floor::run(target, load),
            Self::Latency(load) => latency::run(target, load),
            Self::Append(load) => append::run(target, load),
            Self::Batch(load) => batch::run(target, load),
            Self::Late(load) => late_append::run(target, load),
            Self::Document(load) => documents::history::run(target, load),
            Self::Opening(load) => documents::opening::run(target, load),
            Self::Scale(_) => Err(Error::OwnServices),
        }
    }
}
