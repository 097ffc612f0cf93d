//! `ltm open`.

use ltm_client::{LtmId, ServerUrl};

use crate::{error::Error, terminal::Output};

/// The arguments of `ltm open`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The id of the LTM; without it, the list
    id: Option<LtmId>,
    /// Only print the address
    #[arg(long)]
    print: bool,
}

/// Opens the inspector in the browser, and prints its address.
pub(crate) fn run(server: &ServerUrl, args: &Args, output: Output) -> Result<(), Error> {
    let address = match args.id {
        Some(id) => format!("{server}/#/ltm/{id}"),
        None => format!("{server}/"),
    };
    output.line(&address)?;
    if !args.print {
        let opened = open::that_detached(&address);
        opened.map_err(|e| Error::Ended(format!("no browser can be started here: {e}")))?;
    }
    Ok(())
}
