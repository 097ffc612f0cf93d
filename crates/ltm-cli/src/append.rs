//! `ltm append`.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    thread,
};

use serde::Serialize;
use serde_json::{Deserializer, value::RawValue};
use tokio::sync::mpsc;

use crate::{
    args::AppendArgs,
    client::{Client, Conditions},
    error::Error,
    output::Output,
};

/// How many snapshots are read ahead.
const READ_AHEAD: usize = 16;

/// A snapshot made of arguments.
#[derive(Serialize)]
struct Step<'a> {
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
pub(crate) async fn run(client: &Client, args: &AppendArgs, output: Output) -> Result<(), Error> {
    let mut writer = Writer {
        client,
        args,
        output,
        conditions: Conditions {
            if_match: args.if_match,
            idempotency_key: None,
            producer: args.producer.clone(),
        },
        written: 0,
    };
    let Some(file) = &args.file else {
        let step = Step {
            reason: args.reason.as_deref().unwrap_or("execute"),
            item: args.item.as_ref().map(|item| item.raw()),
            patch: args.patch.as_ref().map(|patch| patch.raw()),
            state: args.state.as_ref().map(|state| state.raw()),
            merge: args.merge.as_ref().map(|merge| merge.raw()),
        };
        return writer.write(&step).await;
    };
    let mut snapshots = read_snapshots(file)?;
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
    client: &'a Client,
    args: &'a AppendArgs,
    output: Output,
    conditions: Conditions,
    written: usize,
}

impl Writer<'_> {
    async fn write(&mut self, snapshot: &impl Serialize) -> Result<(), Error> {
        let id = self.args.id;
        self.conditions.idempotency_key = self.args.idempotency_key.as_ref().map(|key| match self
            .written
        {
            0 => key.clone(),
            nth => format!("{key}-{nth}"),
        });
        let said = Cell::new(false);
        let on_failure = |error: &Error| {
            if !said.replace(true) {
                self.output.note(&format!("{error}; trying again ..."));
            }
        };
        let appended = self
            .client
            .append(id, snapshot, &self.conditions, on_failure)
            .await?;
        self.written += 1;
        let (cursor, index) = (appended.value.cursor, appended.value.index);
        if self.conditions.if_match.is_some() {
            self.conditions.if_match = Some(cursor);
        }
        if self.output.json() {
            return self.output.line(&appended.text);
        }
        self.output
            .line(&format!("LTM {id}, snapshot {index}, cursor {cursor}"))
    }
}

/// The JSON values of a file, or of standard input for `-`, as they come.
///
/// They are read by a thread of its own, which the process does not wait for: a read from a terminal
/// or a pipe cannot be broken off.
fn read_snapshots(file: &Path) -> Result<mpsc::Receiver<Result<Box<RawValue>, Error>>, Error> {
    let input: Box<dyn Read + Send> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let opened =
            File::open(file).map_err(|e| Error::Input(format!("{}: {e}", file.display())))?;
        Box::new(opened)
    };
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let read = move || {
        let values = Deserializer::from_reader(BufReader::new(input)).into_iter::<Box<RawValue>>();
        for value in values {
            let value = value.map_err(|e| Error::Input(format!("not JSON: {e}")));
            let failed = value.is_err();
            if sender.blocking_send(value).is_err() || failed {
                return;
            }
        }
    };
    thread::Builder::new().spawn(read).map_err(Error::Setup)?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn snapshots(text: &str) -> Vec<Result<String, String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut receiver = read_snapshots(file.path()).unwrap();
        let mut all = Vec::new();
        while let Some(value) = receiver.recv().await {
            all.push(
                value
                    .map(|json| json.get().to_owned())
                    .map_err(|e| e.to_string()),
            );
        }
        all
    }

    #[tokio::test]
    async fn an_object_over_several_lines_is_one_snapshot_and_lines_are_many() {
        let one = "{\n \"n\": 0.10\n}\n";
        assert_eq!(snapshots(one).await, [Ok(one.trim().to_owned())]);
        let many: Vec<_> = (0..100).map(|n| format!("{{\"n\":{n}}}")).collect();
        let read = snapshots(&many.join("\n")).await;
        assert_eq!(read, many.into_iter().map(Ok).collect::<Vec<_>>());
        assert!(snapshots(" \n").await.is_empty());
    }

    #[tokio::test]
    async fn what_comes_before_a_broken_line_is_read() {
        let read = snapshots("{}\n{\"n\":\n").await;
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], Ok("{}".to_owned()));
        assert!(read[1].as_ref().unwrap_err().starts_with("not JSON: "));
    }
}
