//! `ltm-bench`: load on the real services, counted delivery by delivery, beside the floor and a peer.

mod append;
mod crowd;
mod error;
mod fan_out;
mod floor;
mod http;
mod idle;
mod latency;
mod process;
mod progress;
mod report;
mod target;
mod usage;

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    error::Error,
    fan_out::Load,
    report::{Report, Row},
    target::{Kind, Target},
};

/// Measures ltm-live beside the floor (a bare program that writes the same frames) and a peer (nginx
/// with Nchan). Every delivery is counted; a loss or disorder is a failure.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
    /// What to measure, side by side.
    #[arg(long, global = true, value_delimiter = ',', default_values = ["live", "floor", "nchan"])]
    on: Vec<Kind>,
    /// Measure an API that runs already, at HOST:PORT; the gateway's address goes with it.
    #[arg(long, global = true, requires = "gateway")]
    api: Option<String>,
    /// The gateway that goes with --api.
    #[arg(long, global = true, requires = "api")]
    gateway: Option<String>,
    /// Write the figures to this file, as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Subcommand)]
enum Scenario {
    /// One LTM, many subscribers: CPU per delivery.
    FanOut(Load),
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
    /// Whether it says anything about such a target.
    fn is_for(&self, kind: Kind) -> bool {
        match self {
            Self::FanOut(_) | Self::Floor { .. } => true,
            Self::Idle(_) | Self::Latency(_) => kind != Kind::Floor,
            Self::Append(_) => kind == Kind::Live,
        }
    }

    fn run(&self, kind: Kind, target: &Target) -> Result<Option<Row>, Error> {
        Ok(Some(match *self {
            Self::FanOut(load) => fan_out::run(kind, target, load)?,
            Self::Idle(load) => idle::run(kind, target, load)?,
            Self::Latency(load) => latency::run(kind, target, load)?,
            Self::Append(load) => append::run(kind, target, load)?,
            Self::Floor { .. } => return Ok(None),
        }))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is all there is to say it on.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    if let Scenario::Floor { address } = arguments.scenario {
        return Ok(floor::serve(address)?);
    }
    // Tens of thousands of sockets are open at once.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut report = Report::default();
    for &kind in arguments
        .on
        .iter()
        .filter(|kind| arguments.scenario.is_for(**kind))
    {
        let target = match (&arguments.api, &arguments.gateway) {
            (Some(api), Some(gateway)) if kind == Kind::Live => {
                Target::external(api.clone(), gateway.clone())?
            }
            _ => Target::start(kind)?,
        };
        report.rows.extend(arguments.scenario.run(kind, &target)?);
    }
    writeln!(std::io::stdout(), "{}", report.tables())?;
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    Ok(())
}
