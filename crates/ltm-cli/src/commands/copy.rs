//! `ltm copy`.

use ltm_client::Client;
use ltm_types::LtmRef;

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm copy`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
}

/// Copies an LTM and prints the id of the copy.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let answer = client.copy(&args.ltm).await?;
    if output.json() {
        return output.json_line(&answer.text);
    }
    output.line(&format!("LTM {}", answer.copy_id))
}
