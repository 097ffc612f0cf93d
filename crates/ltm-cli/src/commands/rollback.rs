//! `ltm rollback`.

use ltm_client::Client;
use ltm_types::{Cursor, LtmId};
use serde_json::{Value, json};

use crate::{error::Error, terminal::Output, text::count_of};

/// The arguments of `ltm rollback`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM
    id: LtmId,
    /// The snapshot that becomes the last
    #[arg(long, value_name = "INDEX", group = "target", required = true)]
    to: Option<u64>,
    /// The snapshot that is about to be taken again
    #[arg(long, value_name = "INDEX", group = "target")]
    replay: Option<u64>,
    /// The rollback that is undone, from 0
    #[arg(long, value_name = "N", group = "target")]
    undo: Option<u64>,
    /// Only where the LTM is at this cursor
    #[arg(long, value_name = "CURSOR")]
    if_match: Option<Cursor>,
    /// Who writes, so that an engine that was replaced is shut out: 'engine;epoch=7'
    #[arg(long, value_name = "NAME;epoch=N")]
    producer: Option<String>,
}

/// Goes back, and prints where the LTM is then.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let answer = client
        .producer()
        .header(args.producer.clone())
        .rollback(args.id, &target(args))
        .if_match(args.if_match)
        .on_retry(output.notes_retry(|note| note()))
        .send()
        .await?;
    if output.json() {
        return output.line(&answer.text);
    }
    let (id, cursor) = (args.id, answer.cursor);
    let snapshots = count_of(answer.snapshots_count, "snapshot");
    output.line(&format!("LTM {id}, {snapshots}, cursor {cursor}"))
}

fn target(args: &Args) -> Value {
    match (args.to, args.replay, args.undo) {
        (Some(index), ..) => json!({"snapshot": {"index": index}}),
        (_, Some(index), _) => json!({"snapshot": {"index": index, "replay": true}}),
        (.., index) => json!({"rollback": {"index": index}}),
    }
}
