//! `ltm diff`.

use ltm_client::Client;
use ltm_state::diff::diff;
use ltm_types::LtmRef;

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm diff`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
    /// The index of the snapshot to begin at
    #[arg(value_name = "A")]
    from: u64,
    /// The index of the snapshot to end at
    #[arg(value_name = "B")]
    to: u64,
    /// Compare in the history that this rollback took out, from 0
    #[arg(long, value_name = "N")]
    rollback: Option<u64>,
}

/// Prints the patch from one snapshot to another: one operation per line, or JSON.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let from = client
        .state(&args.ltm, Some(args.from), args.rollback)
        .await?;
    let to = client
        .state(&args.ltm, Some(args.to), args.rollback)
        .await?;
    let patch = diff(&from.state, &to.state);
    let unwritable = |e: serde_json::Error| Error::Answered(format!("not JSON: {e}"));
    if output.json() {
        return output.json_line(&serde_json::to_string(&patch).map_err(unwritable)?);
    }
    for operation in &patch {
        output.json_line(&serde_json::to_string(operation).map_err(unwritable)?)?;
    }
    if patch.is_empty() {
        output.note("the two states are equal");
    }
    Ok(())
}
