//! `ltm append`.

use std::path::PathBuf;

use ltm_client::{Client, Producer};
use ltm_types::{Cursor, LtmId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{error::Error, input::read_values, json_argument::JsonArgument, terminal::Output};

/// The arguments of `ltm append`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM
    id: LtmId,
    /// Snapshots in a file; - reads standard input
    #[arg(group = "change", required_unless_present_any = ["patch", "state", "merge"])]
    file: Option<PathBuf>,
    /// One snapshot with this JSON Patch (RFC 6902)
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    patch: Option<JsonArgument>,
    /// One snapshot that leads to this state
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    state: Option<JsonArgument>,
    /// One snapshot with this merge patch (RFC 7396)
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    merge: Option<JsonArgument>,
    /// Why the snapshot is taken [default: execute]
    #[arg(long, conflicts_with = "file")]
    reason: Option<String>,
    /// What was executed, any JSON
    #[arg(long, value_name = "FILE|JSON", conflicts_with = "file")]
    item: Option<JsonArgument>,
    /// Append only where the LTM is at this cursor, and nobody else writes in between
    #[arg(long, value_name = "CURSOR")]
    if_match: Option<Cursor>,
    /// Instead of a random key; the snapshots after the first get KEY-1, KEY-2 …
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Who writes, so that an engine that was replaced is shut out: 'engine;epoch=7'
    #[arg(long, value_name = "NAME;epoch=N")]
    producer: Option<String>,
}

/// A snapshot made of arguments.
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

/// Appends the snapshots that the arguments name, in order.
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
        return Err(Error::Input("there is no snapshot in the input".into()));
    }
    Ok(())
}

/// Writes one snapshot after the other.
struct Writer<'a> {
    producer: Producer,
    args: &'a Args,
    output: Output,
    if_match: Option<Cursor>,
    written: usize,
}

impl Writer<'_> {
    async fn write(&mut self, snapshot: &impl Serialize) -> Result<(), Error> {
        let id = self.args.id;
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
            .append(id, snapshot)
            .if_match(self.if_match)
            .idempotency_key(key)
            .on_retry(self.output.notes_retry(|note| note()))
            .send()
            .await?;
        self.written += 1;
        let (cursor, index) = (appended.cursor, appended.index);
        self.if_match = self.if_match.map(|_| cursor);
        if self.output.json() {
            return self.output.line(&appended.text);
        }
        self.output
            .line(&format!("LTM {id}, snapshot {index}, cursor {cursor}"))
    }
}
