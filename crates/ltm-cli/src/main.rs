//! The program `ltm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ltm_cli::run()
}
