//! The program `ltm-gateway`.

use std::process::ExitCode;

use clap::Parser;

/// Reads the logs of LTMs from Redis and pushes each snapshot to the WebSocket subscribers of
/// /ws/{ltm_id}. Any number of replicas may run.
///
/// Settings come from defaults, a TOML file (--config) and the environment: LTM__REDIS__URL,
/// LTM__GATEWAY__LISTEN, LTM__LOG__FORMAT … --print-config shows all of them.
#[derive(Parser)]
#[command(version = ltm_service::VERSION)]
struct Cli {
    #[command(flatten)]
    arguments: ltm_service::Arguments,
}

fn main() -> ExitCode {
    ltm_service::run(&Cli::parse().arguments, ltm_gateway::run)
}
