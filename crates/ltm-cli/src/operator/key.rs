//! `ltm key`: makes an API key.

use ltm_service::auth::NewApiKey;
use serde_json::json;

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm key`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How whoever has it is called, in logs
    name: String,
    /// For which LTMs: ids, classes such as app.Agent or app.*, or * for all
    #[arg(long, required = true, value_delimiter = ',')]
    ltm: Vec<String>,
    /// What may be done: read, write (and read), or admin (all, and delete)
    #[arg(long, default_value = "write")]
    can: String,
}

/// Prints a new key, and what the services need to know it.
pub(crate) fn run(args: &Args, output: Output) -> Result<(), Error> {
    let made = NewApiKey::make(&args.name, &args.ltm, &args.can).map_err(Error::Input)?;
    if output.json() {
        return output.line(&json!({"key": made.key, "entry": made.entry}).to_string());
    }
    output.note("the key, for whoever calls; it is shown this once:");
    output.line(&made.key)?;
    output.note("for the file that auth.api_keys_file names:");
    output.line(made.entry.trim_end())
}
