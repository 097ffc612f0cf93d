//! `ltm append`.

use std::path::PathBuf;

use ltm_client::{Client, Producer};
use ltm_types::{Cursor, LtmRef};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{error::Error, input::read_values, json_argument::JsonArgument, terminal::Output};

/// The arguments of `ltm append`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
    /// A file with snapshots; - reads standard input
    #[arg(group = "change", required_unless_present_any = ["patch", "state", "merge"])]
    file: Option<PathBuf>,
    /// Append one snapshot with this JSON Patch (RFC 6902)
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    patch: Option<JsonArgument>,
    /// Append one snapshot with this new state
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    state: Option<JsonArgument>,
    /// Append one snapshot with this merge patch (RFC 7396)
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    merge: Option<JsonArgument>,
    /// The reason of the snapshot [default: execute]
    #[arg(long, conflicts_with = "file")]
    reason: Option<String>,
    /// What the engine executed, any JSON
    #[arg(long, value_name = "FILE|JSON", conflicts_with = "file")]
    item: Option<JsonArgument>,
    /// Append only if the LTM is at this cursor and no other producer writes in between
    #[arg(long, value_name = "CURSOR")]
    if_match: Option<Cursor>,
    /// The Idempotency-Key of the first snapshot; the next ones get KEY-1, KEY-2 … [default: random]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The producer's name and epoch; the API rejects an older epoch of the same name
    #[arg(long, value_name = "NAME;epoch=N")]
    producer: Option<String>,
}

/// A snapshot made from the arguments.
#[derive(Serialize)]
struct NewSnapshot<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge: Option<&'a RawValue>,
}

/// Appends the snapshots in order.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let mut writer = Writer {
        producer: client.producer().header(args.producer.clone()),
        args,
        output,
        if_match: args.if_match,
        written: 0,
    };
    let Some(file) = &args.file else {
        let snapshot = NewSnapshot {
            reason: args.reason.as_deref().unwrap_or("execute"),
            item: args.item.as_ref().map(|item| item.raw()),
            patch: args.patch.as_ref().map(|patch| patch.raw()),
            state: args.state.as_ref().map(|state| state.raw()),
            merge: args.merge.as_ref().map(|merge| merge.raw()),
        };
        return writer.write(&snapshot).await;
    };
    let mut snapshots = read_values(file)?;
    while let Some(snapshot) = snapshots.recv().await {
        let index = writer.written;
        let written = match snapshot {
            Ok(snapshot) => writer.write(&snapshot).await,
            Err(error) => Err(error),
        };
        written.map_err(|error| error.of_snapshot(index))?;
    }
    if writer.written == 0 {
        return Err(Error::Input("the input has no snapshot".into()));
    }
    Ok(())
}

/// Appends one snapshot after the other.
struct Writer<'a> {
    producer: Producer,
    args: &'a Args,
    output: Output,
    if_match: Option<Cursor>,
    written: usize,
}

impl Writer<'_> {
    async fn write(&mut self, snapshot: &impl Serialize) -> Result<(), Error> {
        let ltm = &self.args.ltm;
        let key = self
            .args
            .idempotency_key
            .as_ref()
            .map(|key| match self.written {
                0 => key.clone(),
                nth => format!("{key}-{nth}"),
            });
        let appended = self
            .producer
            .append(ltm, snapshot)
            .if_match(self.if_match)
            .idempotency_key(key)
            .on_retry(self.output.notes_retry(|note| note()))
            .send()
            .await?;
        self.written += 1;
        let (cursor, index) = (appended.cursor, appended.index);
        self.if_match = self.if_match.map(|_| cursor);
        if self.output.json() {
            return self.output.json_line(&appended.text);
        }
        self.output
            .line(&format!("LTM {ltm}, snapshot {index}, cursor {cursor}"))
    }
}
