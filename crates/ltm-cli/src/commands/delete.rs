//! `ltm delete`.

use ltm_client::Client;
use ltm_types::{Cursor, LtmId};

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm delete`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM
    id: LtmId,
    /// Really delete it
    #[arg(long)]
    yes: bool,
    /// Only where the LTM is at this cursor
    #[arg(long, value_name = "CURSOR")]
    if_match: Option<Cursor>,
}

/// Deletes an LTM, or says what would be deleted.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let id = args.id;
    if !args.yes {
        let state = client.state(id, None, None).await?.value;
        return Err(Error::Input(format!(
            "LTM {id} and its {} snapshots would be deleted for ever; add --yes --if-match {}",
            state.index + 1,
            state.cursor
        )));
    }
    let answer = client.delete(id, args.if_match).await?;
    if output.json() {
        return output.line(answer.text());
    }
    output.line(&format!("LTM {id} is deleted"))
}
