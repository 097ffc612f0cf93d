//! The program `ltm-gateway`.

use std::process::ExitCode;

use clap::Parser;

/// Delivers the entries of LTMs live, over WebSocket and Server-Sent Events. It reads them from Redis. You can run
/// any number of replicas.
///
/// Settings come from defaults, a TOML file (--config) and environment variables: LTM__REDIS__URL,
/// LTM__GATEWAY__LISTEN, LTM__LOG__FORMAT … --print-config shows all settings.
#[derive(Parser)]
#[command(version = ltm_service::VERSION)]
struct Cli {
    #[command(flatten)]
    arguments: ltm_service::Arguments,
}

fn main() -> ExitCode {
    ltm_service::run(&Cli::parse().arguments, ltm_gateway::run)
}
