//! `ltm-bench`: load on the real services, counted delivery by delivery, beside the floor and a peer.

mod append;
mod append_floor;
mod burst;
mod catch_up;
mod crew;
mod crowd;
mod document;
mod error;
mod fan_out;
mod floor;
mod growth;
mod handshake;
mod http;
mod idle;
mod late;
mod latency;
mod latency_floor;
mod live;
mod order;
mod plot;
mod process;
mod producer;
mod progress;
mod redis;
mod report;
mod scenario;
mod session;
mod stalled;
mod suite;
mod target;
mod usage;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{error::Error, scenario::Scenario, session::Session, target::Kind};

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

fn main() -> ExitCode {
    let failures = match run(Arguments::parse()) {
        Ok(failures) => failures,
        Err(error) => vec![error.to_string()],
    };
    for failure in &failures {
        // Standard error is all there is to say it on.
        let _ = writeln!(std::io::stderr(), "error: {failure}");
    }
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// Does what is asked; gives what went wrong where that left something to measure.
fn run(arguments: Arguments) -> Result<Vec<String>, Error> {
    let external = arguments.api.zip(arguments.gateway);
    let mut session = Session::new(arguments.on, external);
    match arguments.scenario {
        Scenario::Floor { address } => floor::serve(address)?,
        Scenario::All(extent) => suite::run(&mut session, &extent)?,
        Scenario::Growth(drawings) => growth::run(&mut session, &drawings)?,
        scenario => drop(session.measure(&[scenario])?),
    }
    session.end(arguments.json.as_deref())
}
