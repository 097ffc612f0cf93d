//! `ltm rollback`.

use ltm_client::Client;
use ltm_types::{Cursor, LtmRef};
use serde_json::{Value, json};

use crate::{error::Error, terminal::Output, text::count_of};

/// The arguments of `ltm rollback`.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("target").required(true))]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
    /// The snapshot that becomes the last one
    #[arg(long, value_name = "INDEX", group = "target")]
    to: Option<u64>,
    /// The snapshot that the engine is about to take again
    #[arg(long, value_name = "INDEX", group = "target")]
    replay: Option<u64>,
    /// The rollback to undo, from 0
    #[arg(long, value_name = "N", group = "target")]
    undo: Option<u64>,
    /// Roll back only if the LTM is at this cursor
    #[arg(long, value_name = "CURSOR")]
    if_match: Option<Cursor>,
    /// The producer's name and epoch; the API rejects an older epoch of the same name
    #[arg(long, value_name = "NAME;epoch=N")]
    producer: Option<String>,
}

/// Rolls back, and prints the new head of the log.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let answer = client
        .producer()
        .header(args.producer.clone())
        .rollback(&args.ltm, &target(args))
        .if_match(args.if_match)
        .on_retry(output.notes_retry(|note| note()))
        .send()
        .await?;
    if output.json() {
        return output.json_line(&answer.text);
    }
    let (ltm, cursor) = (&args.ltm, answer.cursor);
    let snapshots = count_of(answer.snapshots_count, "snapshot");
    output.line(&format!("LTM {ltm}, {snapshots}, cursor {cursor}"))
}

fn target(args: &Args) -> Value {
    match (args.to, args.replay, args.undo) {
        (Some(index), ..) => json!({"snapshot": {"index": index}}),
        (_, Some(index), _) => json!({"snapshot": {"index": index, "replay": true}}),
        (.., index) => json!({"rollback": {"index": index}}),
    }
}
