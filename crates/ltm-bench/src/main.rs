//! `ltm-bench`: puts load on the real services, checks every delivery, and compares them with a floor and peers.

mod error;
mod growth;
mod load;
mod report;
mod scenarios;
mod session;
mod suite;
mod targets;

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use error::Error;
use scenarios::{Scenario, scale::share};
use session::Session;
use targets::{Kind, centrifugo, floor};

/// Measure ltm-live side by side with a floor (a bare program that writes the same frames) and two peers
/// (nginx with Nchan, and Centrifugo). The benchmark checks every delivery: a lost or reordered message is a failure.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The targets to measure, side by side. Default: live, floor, nchan, and centrifugo if it is installed.
    #[arg(long, global = true, value_name = "TARGETS", value_delimiter = ',')]
    on: Vec<Kind>,
    /// Measure a running API at this address, together with --gateway.
    #[arg(long, global = true, value_name = "HOST:PORT", requires = "gateway")]
    api: Option<String>,
    /// The gateway of the running API.
    #[arg(long, global = true, value_name = "HOST:PORT", requires = "api")]
    gateway: Option<String>,
    /// Write the figures to this file as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Measure(Scenario),
    /// Measure all scenarios, one after the other.
    All(suite::Extent),
    /// Measure at 1, 4 and 16 times a load, and draw the results as lines.
    Growth(growth::Drawings),
    #[command(hide = true)]
    Floor { address: SocketAddr },
    /// A share of the subscribers of `scale`.
    #[command(hide = true)]
    ScaleSubscribers,
}

fn main() -> ExitCode {
    let failures = match run(Arguments::parse()) {
        Ok(failures) => failures,
        Err(error) => vec![error.to_string()],
    };
    for failure in &failures {
        // If standard error does not work, there is no other way to report it.
        let _ = writeln!(std::io::stderr(), "error: {failure}");
    }
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// The targets that a command measures if nobody names them. The plots have no lines for Centrifugo.
fn usual(command: &Command) -> Result<Vec<Kind>, Error> {
    let mut on = vec![Kind::Live, Kind::Floor, Kind::Nchan];
    match command {
        Command::Growth(_)
        | Command::Floor { .. }
        | Command::ScaleSubscribers
        | Command::Measure(Scenario::Scale(_)) => {}
        _ if centrifugo::program().is_some() => on.push(Kind::Centrifugo),
        _ => writeln!(std::io::stderr(), "without Centrifugo: it is not installed")?,
    }
    Ok(on)
}

/// Runs the command; returns the failures that left something to measure.
fn run(arguments: Arguments) -> Result<Vec<String>, Error> {
    let external = arguments.api.zip(arguments.gateway);
    let on = match arguments.on {
        on if on.is_empty() => usual(&arguments.command)?,
        on => on,
    };
    let mut session = Session::new(on, external);
    match arguments.command {
        Command::Measure(scenario) => drop(session.measure(&[scenario])?),
        Command::All(extent) => suite::run(&mut session, &extent)?,
        Command::Growth(drawings) => growth::run(&mut session, &drawings)?,
        Command::Floor { address } => floor::serve(address)?,
        Command::ScaleSubscribers => {
            share::follow()?;
            return Ok(Vec::new());
        }
    }
    session.end(arguments.json.as_deref())
}
