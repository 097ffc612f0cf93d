//! `ltm append`.

use std::path::{Path, PathBuf};

use ltm_client::{AppendedBatch, Client, Producer};
use ltm_types::{Cursor, LtmRef, ProblemKind};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use tokio::sync::mpsc;

use crate::{
    error::Error,
    input::{Item, read_values},
    json_argument::JsonArgument,
    terminal::Output,
};

/// The most snapshots that are sent together.
const MAX_BATCH: usize = 1000;
/// The bytes after which no further snapshot joins those that are sent together.
const MAX_BYTES: usize = 1024 * 1024;

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
    /// The Idempotency-Key of the first request. Snapshots of a file are sent in batches; the one that begins with snapshot
    /// N gets KEY-N [default: random]
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
    let mut input = Input {
        values: read_values(file)?,
        // A key belongs to one content, so the same input must make the same batches.
        waits: args.idempotency_key.is_some() || is_regular(file),
    };
    while let Some((snapshots, error)) = input.batch().await {
        writer.write_all(&snapshots).await?;
        if let Some(error) = error {
            return Err(error.of_snapshot(writer.written));
        }
    }
    if writer.written == 0 {
        return Err(Error::Input("the input has no snapshot".into()));
    }
    Ok(())
}

/// Whether a file has all of its content already. A pipe or a terminal may not.
fn is_regular(file: &Path) -> bool {
    file.metadata().is_ok_and(|it| it.is_file())
}

/// The snapshots of the input, in batches.
struct Input {
    values: mpsc::Receiver<Item>,
    /// Whether a batch waits until it is full. Otherwise it has what has arrived.
    waits: bool,
}

impl Input {
    /// The next snapshots, and the fault behind them; `None` at the end.
    async fn batch(&mut self) -> Option<(Vec<Box<RawValue>>, Option<Error>)> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = self.values.recv().await;
        next.as_ref()?;
        while let Some(value) = next {
            match value {
                Ok(value) => {
                    bytes += value.get().len();
                    batch.push(value);
                }
                Err(error) => return Some((batch, Some(error))),
            }
            if batch.len() == MAX_BATCH || bytes >= MAX_BYTES {
                break;
            }
            next = if self.waits {
                self.values.recv().await
            } else {
                self.values.try_recv().ok()
            };
        }
        Some((batch, None))
    }
}

/// Appends snapshots in order.
struct Writer<'a> {
    producer: Producer,
    args: &'a Args,
    output: Output,
    if_match: Option<Cursor>,
    written: usize,
}

impl Writer<'_> {
    /// Appends the only snapshot.
    async fn write(&mut self, snapshot: &impl Serialize) -> Result<(), Error> {
        let appended = self
            .producer
            .append(&self.args.ltm, snapshot)
            .if_match(self.if_match)
            .idempotency_key(self.key())
            .on_retry(self.output.notes_retry(|note| note()))
            .send()
            .await?;
        if self.output.json() {
            return self.output.json_line(&appended.text);
        }
        self.print(appended.cursor, appended.index)
    }

    /// Appends snapshots in one request, or in several if the API takes only smaller ones.
    async fn write_all(&mut self, snapshots: &[Box<RawValue>]) -> Result<(), Error> {
        let (mut rest, mut most) = (snapshots, snapshots.len());
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(most.min(rest.len()));
            match self.send(batch).await {
                Err(error) if error.is(ProblemKind::BodyTooLarge) && batch.len() > 1 => {
                    most = batch.len().div_ceil(2);
                    continue;
                }
                Err(error) => return Err(self.failed(error)),
                Ok(appended) => self.print_all(appended)?,
            }
            rest = after;
        }
        Ok(())
    }

    /// Sends a batch.
    async fn send(&self, batch: &[Box<RawValue>]) -> Result<AppendedBatch, ltm_client::Error> {
        let appended = self
            .producer
            .append_all(&self.args.ltm, batch)
            .if_match(self.if_match)
            .idempotency_key(self.key())
            .on_retry(self.output.notes_retry(|note| note()))
            .send()
            .await?;
        Ok(appended.value)
    }

    fn print_all(&mut self, appended: AppendedBatch) -> Result<(), Error> {
        let AppendedBatch {
            id, index, cursors, ..
        } = appended;
        let first = (index + 1).saturating_sub(cursors.len() as u64);
        self.written += cursors.len();
        let last = cursors.last().copied();
        self.if_match = self.if_match.and(last);
        (first..).zip(cursors).try_for_each(|(index, cursor)| {
            if !self.output.json() {
                return self.print(cursor, index);
            }
            let line = json!({"id": id, "cursor": cursor, "index": index});
            self.output.json_line(&line.to_string())
        })
    }

    fn print(&self, cursor: Cursor, index: u64) -> Result<(), Error> {
        let ltm = &self.args.ltm;
        self.output
            .line(&format!("LTM {ltm}, snapshot {index}, cursor {cursor}"))
    }

    /// The key of the next request.
    fn key(&self) -> Option<String> {
        let key = self.args.idempotency_key.as_ref()?;
        Some(match self.written {
            0 => key.clone(),
            nth => format!("{key}-{nth}"),
        })
    }

    /// The error of a batch, none of which was written.
    fn failed(&self, source: ltm_client::Error) -> Error {
        let first = self.written;
        match source.snapshot() {
            Some(nth) if nth > 0 => Error::Batch {
                index: first + nth,
                first,
                source,
            },
            _ => Error::from(source).of_snapshot(first),
        }
    }
}
