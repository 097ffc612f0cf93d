//! `ltm delete`.

use ltm_client::Client;
use ltm_types::{Cursor, LtmRef};

use crate::{error::Error, terminal::Output, text::count_of};

/// The arguments of `ltm delete`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
    /// Delete it; without this, only show what would be deleted
    #[arg(long)]
    yes: bool,
    /// Delete only if the LTM is at this cursor
    #[arg(long, value_name = "CURSOR")]
    if_match: Option<Cursor>,
}

/// Deletes an LTM, or shows what it would delete.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let ltm = &args.ltm;
    if !args.yes {
        let state = client.state(ltm, None, None).await?.value;
        return Err(Error::Input(format!(
            "LTM {ltm} and its {} would be deleted permanently; add --yes --if-match {}",
            count_of(state.index + 1, "snapshot"),
            state.cursor
        )));
    }
    let answer = client.delete(ltm, args.if_match).await?;
    if output.json() {
        return output.json_line(answer.text());
    }
    output.line(&format!("LTM {ltm} is deleted"))
}
