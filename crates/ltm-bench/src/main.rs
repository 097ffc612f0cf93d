//! `ltm-bench`: load on the real services, counted delivery by delivery, beside the floor and a peer.

mod error;
mod growth;
mod load;
mod report;
mod scenarios;
mod session;
mod suite;
mod target;

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use error::Error;
use scenarios::Scenario;
use session::Session;
use target::{Kind, floor};

/// Measures ltm-live beside the floor (a bare program that writes the same frames) and a peer (nginx
/// with Nchan). Every delivery is counted; a loss or disorder is a failure.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
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

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Measure(Scenario),
    /// All of these, one after the other.
    All(suite::Extent),
    /// All of these at 1, 4 and 16 times a load, drawn as lines.
    Growth(growth::Drawings),
    #[command(hide = true)]
    Floor { address: SocketAddr },
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
    match arguments.command {
        Command::Measure(scenario) => drop(session.measure(&[scenario])?),
        Command::All(extent) => suite::run(&mut session, &extent)?,
        Command::Growth(drawings) => growth::run(&mut session, &drawings)?,
        Command::Floor { address } => floor::serve(address)?,
    }
    session.end(arguments.json.as_deref())
}
