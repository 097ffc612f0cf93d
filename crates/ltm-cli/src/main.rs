//! The program `ltm`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ltm_cli::run(&ltm_cli::args::Cli::parse())
}
