//! `ltm list`.

use std::num::NonZeroUsize;

use ltm_client::Client;
use ltm_types::LtmId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{error::Error, terminal::Output, text::printable};

/// The arguments of `ltm list`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// List the playground instead
    #[arg(long)]
    playground: bool,
    /// Only LTMs of this class
    #[arg(long)]
    fqn: Option<String>,
    /// The most LTMs to list
    #[arg(long, value_name = "N", default_value = "20")]
    limit: NonZeroUsize,
    /// List all of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// The most rows of one page of the API.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Row {
    id: LtmId,
    name: String,
    fqn: String,
    #[serde(default)]
    key: Option<String>,
    status: Option<String>,
    snapshots_count: u64,
    updated_at: String,
}

/// Prints LTMs, newest first: JSON page by page, a table at the end.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let mut rows = Vec::new();
    let mut left = if args.all {
        usize::MAX
    } else {
        args.limit.get()
    };
    let mut before = None;
    loop {
        let page = client
            .list(args.playground, args.fqn.as_deref(), left.min(PAGE), before)
            .await?;
        let texts: Vec<&RawValue> = page.rows.read()?;
        left = left.saturating_sub(texts.len());
        for row in texts {
            if output.json() {
                output.json_line(row.get())?;
            } else {
                rows.push(page.rows.part(row.get())?);
            }
        }
        before = page.next;
        if before.is_none() || left == 0 {
            break;
        }
    }
    if output.json() {
        return Ok(());
    }
    if rows.is_empty() {
        output.note("no LTM found; create one with `ltm create app.Agent`");
        return Ok(());
    }
    print_table(&rows, output)
}

fn print_table(rows: &[Row], output: Output) -> Result<(), Error> {
    let mut table = output.table(&[
        "id",
        "name",
        "class",
        "key",
        "status",
        "snapshots",
        "updated",
    ]);
    for row in rows {
        table.add_row([
            row.id.to_string(),
            printable(&row.name),
            printable(&row.fqn),
            printable(row.key.as_deref().unwrap_or_default()),
            printable(row.status.as_deref().unwrap_or_default()),
            row.snapshots_count.to_string(),
            printable(&row.updated_at),
        ]);
    }
    output.line(&table.trim_fmt())
}
