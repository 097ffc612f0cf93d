//! `ltm completions`.

use std::io;

use clap::Command;
use clap_complete::{Shell, generate};

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm completions`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the completions of a shell for `ltm`.
pub(crate) fn run(mut ltm: Command, args: &Args, output: Output) -> Result<(), Error> {
    let mut script = Vec::new();
    generate(args.shell, &mut ltm, "ltm", &mut script);
    let script = String::from_utf8(script).map_err(|e| Error::Output(io::Error::other(e)))?;
    output.line(script.trim_end())
}
