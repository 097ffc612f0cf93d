//! All scenarios in one run.

use crate::{error::Error, scenarios::Scenario, session::Session};

/// The commands that the suite runs. The number of connections stays within the usual limit of 20,000 open
/// files.
const FULL: [&str; 22] = [
    "fan-out",
    "fan-out --subscribers 500 --rate 0",
    "fan-out --ltms 2000 --subscribers 1 --rate 2000",
    "compression",
    "reset",
    "catch-up",
    "idle",
    "idle --subscribers 19200",
    "burst",
    "stalled",
    "cached-state",
    "latency",
    "append",
    "append --producers 1 --ltms 1",
    "append --producers 1 --ltms 1 --state 100000",
    "append --producers 1 --ltms 1 --state 10000000",
    "append --producers 1 --ltms 1 --body state",
    "append --producers 1 --ltms 1 --body state --state 100000",
    "batch",
    "late",
    "document",
    "opening",
];

/// The same with a small load, to check that everything runs.
const QUICK: [&str; 16] = [
    "fan-out --subscribers 20 --seconds 1",
    "fan-out --subscribers 20 --seconds 1 --rate 0",
    "compression --subscribers 20 --rate 200",
    "reset --subscribers 2 --bytes 100000",
    "catch-up --subscribers 20 --entries 50",
    "idle --subscribers 20 --ltms 2",
    "burst --subscribers 20 --messages 20 --settle 1",
    "stalled --peers 5 --messages 20",
    "cached-state --ltms 20 --bytes 100000",
    "latency --rate 100 --seconds 1",
    "append --producers 2 --ltms 2 --seconds 1",
    "batch --batches 3",
    "late --entries 100 --window 50 --rounds 1",
    "document --snapshots 50 --rounds 1",
    "opening --snapshots 50 --openings 20 --connections 2 --rounds 1 --seconds 1",
    "scale --subscribers 20,40 --rate-per-ltm 5 --gateways 2 --apis 2 --seconds 1",
];

/// The scenario that is left out of the full suite: it takes as long as all others together, and needs more files and
/// memory. It is a command of its own.
#[cfg(test)]
const ALONE: &str = "scale";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Extent {
    /// Run with a small load, to check that everything runs; the figures mean nothing.
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Runs all scenarios.
pub(crate) fn run(session: &mut Session, extent: &Extent) -> Result<(), Error> {
    let commands: &[&str] = if extent.quick { &QUICK } else { &FULL };
    let scenarios = commands.iter().map(|command| Scenario::read(command));
    let scenarios = scenarios.collect::<Result<Vec<_>, Error>>()?;
    for same in scenarios.chunk_by(|one, next| one.name() == next.name()) {
        session.measure(same)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_one_and_every_scenario_is_run_small_too() {
        let names = |commands: &[&str]| {
            let mut names: Vec<_> = commands
                .iter()
                .map(|command| Scenario::read(command).map_or("no command", |s| s.name()))
                .collect();
            names.dedup();
            names
        };
        let full_and_alone = [names(&FULL), vec![ALONE]].concat();
        assert_eq!(full_and_alone, names(&QUICK));
        assert!(!names(&FULL).contains(&"no command"));
    }
}
