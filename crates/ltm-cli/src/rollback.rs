//! `ltm rollback`.

use ltm_client::Client;
use serde_json::{Value, json};

use crate::{
    args::RollbackArgs,
    error::{Error, said},
    output::{Output, count_of},
};

/// Goes back, and prints where the LTM is then.
pub(crate) async fn run(client: &Client, args: &RollbackArgs, output: Output) -> Result<(), Error> {
    let answer = client
        .producer()
        .header(args.producer.clone())
        .rollback(args.id, &target(args))
        .if_match(args.if_match)
        .on_retry(|error, _| output.note(&format!("{}; trying again ...", said(error))))
        .send()
        .await?;
    if output.json() {
        return output.line(&answer.text);
    }
    let (id, cursor) = (args.id, answer.cursor);
    let snapshots = count_of(answer.snapshots_count, "snapshot");
    output.line(&format!("LTM {id}, {snapshots}, cursor {cursor}"))
}

fn target(args: &RollbackArgs) -> Value {
    match (args.to, args.replay, args.undo) {
        (Some(index), ..) => json!({"snapshot": {"index": index}}),
        (_, Some(index), _) => json!({"snapshot": {"index": index, "replay": true}}),
        (.., index) => json!({"rollback": {"index": index}}),
    }
}
