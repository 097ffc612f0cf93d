//! `ltm wait`.

use std::time::Duration;

use ltm_client::Client;
use ltm_settings::duration;
use ltm_types::{Cursor, LtmRef};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error as ValueError},
};

use crate::{error::Error, terminal::Output, text::printable};

/// The arguments of `ltm wait`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
    /// The statuses to wait for, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "STATUS",
        required_unless_present = "after"
    )]
    status: Vec<String>,
    /// Wait until the LTM has left this cursor
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// How long to wait: 30s, 5m, 1h. Default: without end
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
}

#[derive(Deserialize)]
struct Row {
    status: Option<String>,
}

/// Waits until the LTM has one of the statuses, and prints the one that it has.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let (ltm, statuses) = (&args.ltm, &args.status);
    let row = client.wait(ltm, statuses, args.after, args.timeout).await?;
    let Some(row) = row else {
        return Err(Error::TimeOver(format!("LTM {ltm} is not there yet")));
    };
    if output.json() {
        return output.line(row.text());
    }
    let status = row.read::<Row>()?.status;
    output.line(&printable(status.as_deref().unwrap_or("–")))
}

/// A duration in an argument.
pub(crate) fn time(text: &str) -> Result<Duration, ValueError> {
    duration::deserialize(text.into_deserializer())
}
