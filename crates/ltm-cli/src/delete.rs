//! `ltm delete`.

use ltm_client::Client;

use crate::{args::DeleteArgs, error::Error, output::Output};

/// Deletes an LTM, or says what would be deleted.
pub(crate) async fn run(client: &Client, args: &DeleteArgs, output: Output) -> Result<(), Error> {
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
