//! `ltm man`.

use std::path::PathBuf;

use clap::Command;

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm man`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The directory to write to, for example ~/.local/share/man/man1
    directory: PathBuf,
}

/// Writes a manual page for `ltm` and for each of its commands.
pub(crate) fn run(ltm: Command, args: &Args, output: Output) -> Result<(), Error> {
    let directory = args.directory.display();
    let failed = |e| Error::Input(format!("cannot write to {directory}: {e}"));
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(ltm, &args.directory).map_err(failed)?;
    output.note(&format!("wrote the manual pages to {directory}"));
    Ok(())
}
