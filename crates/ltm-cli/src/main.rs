//! The program `ltm`.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// It was measured beside the system's (docs/performance.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ltm_cli::run(&ltm_cli::args::Cli::parse())
}
