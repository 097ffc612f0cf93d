//! `ltm rollback`.

use serde_json::{Value, json};

use crate::{
    args::RollbackArgs,
    client::{Client, Conditions},
    error::Error,
    output::Output,
};

/// Goes back, and prints where the LTM is then.
pub(crate) async fn run(client: &Client, args: &RollbackArgs, output: Output) -> Result<(), Error> {
    let conditions = Conditions {
        if_match: args.if_match,
        idempotency_key: None,
        producer: args.producer.clone(),
    };
    let on_failure = |error: &Error| output.note(&format!("{error}; trying again ..."));
    let answer = client
        .rollback(args.id, &target(args), &conditions, on_failure)
        .await?;
    if output.json() {
        return output.line(&answer.text);
    }
    let (id, count, cursor) = (args.id, answer.value.snapshots_count, answer.value.cursor);
    output.line(&format!("LTM {id}, {count} snapshots, cursor {cursor}"))
}

fn target(args: &RollbackArgs) -> Value {
    match (args.to, args.replay, args.undo) {
        (Some(index), ..) => json!({"snapshot": {"index": index}}),
        (_, Some(index), _) => json!({"snapshot": {"index": index, "replay": true}}),
        (.., index) => json!({"rollback": {"index": index}}),
    }
}
