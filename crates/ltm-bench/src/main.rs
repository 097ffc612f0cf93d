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
mod handshake;
mod http;
mod idle;
mod late;
mod latency;
mod latency_floor;
mod order;
mod process;
mod producer;
mod progress;
mod redis;
mod report;
mod scenario;
mod stalled;
mod target;
mod usage;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{
    error::Error,
    report::{Report, Row},
    scenario::Scenario,
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.scenario {
        Scenario::Floor { address } => floor::serve(address).map_err(Error::from).map(|()| true),
        _ => run(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Measures one target after the other. What fails takes nothing from what was measured: the tables
/// come first, then what went wrong. Says whether nothing did.
fn run(arguments: &Arguments) -> Result<bool, Error> {
    // Tens of thousands of sockets are open at once.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let (mut report, mut failures) = (Report::default(), Vec::new());
    let scenario = &arguments.scenario;
    for &kind in arguments.on.iter().filter(|kind| scenario.is_for(**kind)) {
        match measure(arguments, scenario, kind) {
            Ok(row) => report.rows.push(row),
            Err(error) => failures.push(format!("{}, {}: {error}", scenario.name(), kind.name())),
        }
    }
    report.compare();
    writeln!(std::io::stdout(), "{}", report.tables())?;
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    failures.iter().for_each(|failure| complain(failure));
    Ok(failures.is_empty())
}

/// Runs a scenario on a target of its own.
fn measure(arguments: &Arguments, scenario: &Scenario, kind: Kind) -> Result<Row, Error> {
    let target = match (&arguments.api, &arguments.gateway) {
        (Some(api), Some(gateway)) if kind == Kind::Live => {
            Target::external(api.clone(), gateway.clone())?
        }
        _ => scenario.target(kind)?,
    };
    scenario.run(&target)
}

fn complain(what: &str) {
    // Standard error is all there is to say it on.
    let _ = writeln!(std::io::stderr(), "error: {what}");
}
