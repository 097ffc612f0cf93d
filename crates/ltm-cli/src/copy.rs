//! `ltm copy`.

use ltm_client::Client;

use crate::{args::CopyArgs, error::Error, output::Output};

/// Copies an LTM and prints the id of the copy.
pub(crate) async fn run(client: &Client, args: &CopyArgs, output: Output) -> Result<(), Error> {
    let answer = client.copy(args.id).await?;
    if output.json() {
        return output.line(&answer.text);
    }
    output.line(&format!("LTM {}", answer.copy_id))
}
