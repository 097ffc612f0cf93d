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
        return Err(Error::TimeOver(late(client, args).await));
    };
    if output.json() {
        return output.line(row.text());
    }
    let status = row.read::<Row>()?.status;
    output.line(&printable(status.as_deref().unwrap_or("–")))
}

/// What to say when the time is over: what has not come, and the status that the LTM has.
async fn late(client: &Client, args: &Args) -> String {
    let (ltm, statuses) = (&args.ltm, args.status.join(" or "));
    let wanted = match args.after {
        Some(cursor) if statuses.is_empty() => {
            return format!("LTM {ltm} is still at cursor {cursor}");
        }
        Some(cursor) => format!("{statuses} after cursor {cursor}"),
        None => statuses,
    };
    // Every LTM has left the beginning, so this answers at once.
    let now = client.wait(ltm, &[], Some(Cursor::ORIGIN), Some(Duration::ZERO));
    let now = now.await.ok().flatten();
    let status = now.and_then(|row| row.read::<Row>().ok()?.status);
    match status {
        Some(status) => format!(
            "LTM {ltm} is not {wanted} yet: it is {}",
            printable(&status)
        ),
        None => format!("LTM {ltm} is not {wanted} yet"),
    }
}

/// A duration in an argument.
pub(crate) fn time(text: &str) -> Result<Duration, ValueError> {
    duration::deserialize(text.into_deserializer())
}
