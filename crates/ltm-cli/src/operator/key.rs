//! `ltm key`: makes an API key.

use ltm_auth::NewApiKey;
use serde_json::json;

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm key`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The name shown in logs
    name: String,
    /// The LTMs that it grants access to: ids, classes such as app.Agent or app.*, or * for all
    #[arg(long, required = true, value_delimiter = ',', value_name = "LTMS")]
    ltm: Vec<String>,
    /// What it allows: read, write (and read), or admin (everything, including delete)
    #[arg(long, default_value = "write", value_name = "ACCESS")]
    can: String,
}

/// Prints a new key, and the entry for the file of the services.
pub(crate) fn run(args: &Args, output: Output) -> Result<(), Error> {
    let made = NewApiKey::make(&args.name, &args.ltm, &args.can)
        .map_err(|e| Error::Input(e.to_string()))?;
    if output.json() {
        return output.json_line(&json!({"key": made.key, "entry": made.entry}).to_string());
    }
    output.note("the key for the client; it is not shown again:");
    output.line(&made.key)?;
    output.note("the entry for the file that auth.api_keys_file names:");
    output.line(made.entry.trim_end())
}
