//! `ltm get`.

use ltm_client::Client;
use ltm_types::{Cursor, LtmId, LtmRef};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    error::Error,
    terminal::{Accent, Output},
    text::{printable, printable_lines},
};

/// The arguments of `ltm get`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
    /// Show its rollbacks, too
    #[arg(long)]
    rollbacks: bool,
    /// Show only the state after this snapshot
    #[arg(long, value_name = "INDEX", conflicts_with = "rollbacks")]
    at: Option<u64>,
    /// Look in the history that this rollback took out, from 0
    #[arg(long, value_name = "N", requires = "at")]
    rollback: Option<u64>,
}

/// The most snapshots that are shown.
const SHOWN: usize = 10;

#[derive(Deserialize)]
struct LtmToShow {
    id: LtmId,
    cursor: Cursor,
    name: String,
    fqn: String,
    key: Option<String>,
    state: Value,
    snapshots: Vec<SnapshotToShow>,
    #[serde(default)]
    rollbacks: Vec<Value>,
    created_at: String,
    updated_at: String,
    snapshots_count: u64,
    #[serde(default)]
    first_index: u64,
}

#[derive(Deserialize)]
struct SnapshotToShow {
    time: String,
    reason: String,
    patch: Box<RawValue>,
}

/// Prints the document of an LTM.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    if args.at.is_some() {
        let answer = client.state(&args.ltm, args.at, args.rollback).await?;
        return match output.json() {
            true => output.json_line(&answer.text),
            false => output.line(&pretty(&Value::Object(answer.value.state))),
        };
    }
    let document = client.document(&args.ltm, args.rollbacks).await?;
    if output.json() {
        return output.json_line(document.text());
    }
    print(&document.read()?, args.rollbacks, output)
}

fn print(document: &LtmToShow, rollbacks: bool, output: Output) -> Result<(), Error> {
    let head = |name: &str| output.accent(Accent::Kind, name);
    output.line(&format!(
        "{} {}, {}, {}",
        head("LTM"),
        document.id,
        printable(&document.name),
        printable(&document.fqn)
    ))?;
    if let Some(key) = &document.key {
        output.line(&format!("{} {}", head("key"), printable(key)))?;
    }
    for (name, value) in [
        ("cursor", document.cursor.to_string()),
        ("created", printable(&document.created_at)),
        ("updated", printable(&document.updated_at)),
        ("state", pretty(&document.state)),
    ] {
        output.line(&format!("{} {value}", head(name)))?;
    }
    if rollbacks {
        let list = Value::Array(document.rollbacks.clone());
        output.line(&format!("{} {}", head("rollbacks"), pretty(&list)))?;
    }
    let first = document.snapshots.len().saturating_sub(SHOWN);
    let earlier = match first {
        0 => String::new(),
        count => format!(" ({count} earlier ones with --json)"),
    };
    output.line(&format!(
        "{} {}{earlier}",
        head("snapshots"),
        document.snapshots_count
    ))?;
    let mut table = output.table(&["index", "time", "reason", "patch"]);
    for (index, step) in (document.first_index..)
        .zip(&document.snapshots)
        .skip(first)
    {
        table.add_row([
            index.to_string(),
            output.time(&step.time),
            printable(&step.reason),
            printable(step.patch.get()),
        ]);
    }
    output.line(&output.rows(table, &[3]))
}

/// JSON over several lines.
fn pretty(value: &Value) -> String {
    printable_lines(&format!("{value:#}"))
}
