//! `ltm key`: makes an API key.

use ltm_auth::NewApiKey;
use serde_json::json;

use crate::{args::KeyArgs, error::Error, output::Output};

/// Prints a new key, and what the services need to know it.
pub(crate) fn run(args: &KeyArgs, output: Output) -> Result<(), Error> {
    let made = NewApiKey::make(&args.name, &args.ltm, &args.can)
        .map_err(|e| Error::Input(e.to_string()))?;
    if output.json() {
        return output.line(&json!({"key": made.key, "entry": made.entry}).to_string());
    }
    output.note("the key, for whoever calls; it is shown this once:");
    output.line(&made.key)?;
    output.note("for the file that auth.api_keys_file names:");
    output.line(made.entry.trim_end())
}
