//! The program `ltm-api`.

use std::process::ExitCode;

use clap::Parser;

/// Takes snapshots from the engines that run LTMs and writes them to Redis Streams.
///
/// Settings come from defaults, a TOML file (--config) and the environment: LTM__REDIS__URL,
/// LTM__API__LISTEN, LTM__LOG__FORMAT … --print-config shows all of them.
#[derive(Parser)]
#[command(version = ltm_service::VERSION)]
struct Cli {
    #[command(flatten)]
    arguments: ltm_service::Arguments,
}

fn main() -> ExitCode {
    ltm_service::run(&Cli::parse().arguments, ltm_api::run)
}
