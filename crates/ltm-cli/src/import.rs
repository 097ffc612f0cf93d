//! `ltm import`: makes LTMs of documents that the reference gave.

use std::{path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use ltm_client::{Client, Created, Write};
use ltm_state::json::{self, number::equal};
use ltm_types::{Cursor, LtmId, ProblemKind, canonical_time};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    args::ImportArgs,
    error::Error,
    input::read_documents,
    output::{Output, count_of, printable},
    plan::{Document, Operation, history_after},
    recording::{last_document, not_a_document},
};

/// The reason of the snapshot that puts the state right.
const IMPORT: &str = "import";

/// What is there of an LTM already.
#[derive(Deserialize)]
struct There {
    name: String,
    fqn: String,
    cursor: Cursor,
    snapshots_count: u64,
    snapshots: Vec<StepThere>,
}

/// What a snapshot that is there is told by.
#[derive(Deserialize)]
struct StepThere {
    time: String,
    reason: String,
}

impl There {
    /// Whether its history ends as these operations make it.
    fn is_made_by(&self, operations: &[Operation<'_>]) -> bool {
        let history = history_after(operations);
        let more = self.snapshots_count.checked_sub(history.len() as u64);
        let mut there = self.snapshots.iter().rev();
        match more {
            Some(0) => {}
            // What put the state right.
            Some(1) if there.next().is_some_and(|step| step.reason == IMPORT) => {}
            _ => return false,
        }
        let (Some(there), Some(step)) = (there.next(), history.last()) else {
            return history.is_empty();
        };
        let time = step["time"].as_str().map(canonical_time);
        step["reason"] == there.reason && time.is_none_or(|time| time.as_ref() == Ok(&there.time))
    }
}

/// What became of a document.
pub(crate) struct Imported {
    id: LtmId,
    entries: usize,
    /// How many of them were there before.
    before: usize,
    /// Snapshots whose patch does not apply, written without it.
    without_patch: Vec<usize>,
    /// Errors that could not be recorded.
    errors_left_out: usize,
    /// Whether the state had to be put right at the end.
    corrected: bool,
}

/// Imports all documents of the files; fails at the end where one was not imported.
pub(crate) async fn run(client: &Client, args: &ImportArgs, output: Output) -> Result<(), Error> {
    let mut run = Run {
        client,
        id: args.id,
        output,
        imported: 0,
        failed: 0,
    };
    for file in &args.files {
        let ended = run.import_file(file).await;
        run.take(file, ended)?;
    }
    let (imported, failed) = (run.imported, run.failed);
    match failed {
        0 if imported == 0 => Err(Error::Input("there is no document in the input".into())),
        0 => {
            output.note(&format!("imported {imported} documents"));
            Ok(())
        }
        _ => Err(Error::Ended(format!(
            "{failed} documents were not imported, {imported} were"
        ))),
    }
}

/// All that is imported in one go.
struct Run<'a> {
    client: &'a Client,
    id: Option<LtmId>,
    output: Output,
    imported: u64,
    failed: u64,
}

impl Run<'_> {
    async fn import_file(&mut self, file: &Path) -> Result<(), Error> {
        let mut values = read_documents(file)?;
        while let Some(value) = values.recv().await {
            let value = value?;
            for text in documents(&value)? {
                let done = self.import_text(text).await;
                self.take(file, done)?;
            }
        }
        Ok(())
    }

    async fn import_text(&mut self, text: &RawValue) -> Result<(), Error> {
        if self.id.is_some() && self.imported + self.failed > 0 {
            return Err(Error::Input(
                "--id is the id of one document, and this is a further one".into(),
            ));
        }
        let done = import_one(self.client, text, self.id, self.output).await?;
        self.imported += 1;
        print(&done, self.output)
    }

    /// Says what went wrong, and goes on with the rest where there is somebody to hear of it.
    fn take(&mut self, file: &Path, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Ok(()) => {}
            Err(error @ Error::Output(_)) => return Err(error),
            Err(error) => {
                self.failed += 1;
                self.output.note(&format!("{}: {error}", file.display()));
            }
        }
        Ok(())
    }
}

/// A value of a file is a document, or a list of them.
fn documents(value: &RawValue) -> Result<Vec<&RawValue>, Error> {
    if value.get().starts_with('[') {
        return json::read(value.get()).map_err(|e| not_a_document(&e));
    }
    Ok(vec![value])
}

async fn import_one(
    client: &Client,
    text: &RawValue,
    id: Option<LtmId>,
    output: Output,
) -> Result<Imported, Error> {
    let (text, recorded_id) = last_document(text.get())?;
    let document: Document = json::read(text).map_err(|e| not_a_document(&e))?;
    let own = document.id.or(recorded_id).map(LtmId::new).transpose();
    let own = own.map_err(|e| Error::Input(e.to_string()))?;
    import(client, &document, id.or(own), output).await
}

/// Makes an LTM of a document, or goes on making it.
pub(crate) async fn import(
    client: &Client,
    document: &Document,
    id: Option<LtmId>,
    output: Output,
) -> Result<Imported, Error> {
    let operations = document.operations();
    if operations.is_empty() {
        return Err(Error::Input(
            "it has no snapshots: there is nothing that leads to its state".into(),
        ));
    }
    let bar = progress_bar(operations.len() as u64);
    let mut importer = Importer {
        client,
        document,
        output,
        bar: &bar,
        at: Cursor::ORIGIN,
        imported: Imported {
            // Until it is known.
            id: LtmId::new(1).map_err(|e| Error::Input(e.to_string()))?,
            entries: operations.len(),
            before: 0,
            without_patch: Vec::new(),
            errors_left_out: 0,
            corrected: false,
        },
    };
    importer.begin(&operations, id).await?;
    for (nth, operation) in operations
        .iter()
        .enumerate()
        .skip(importer.imported.before.max(1))
    {
        bar.set_position(nth as u64);
        importer.write(nth, operation).await?;
    }
    importer.correct(operations.len()).await?;
    bar.finish_and_clear();
    Ok(importer.imported)
}

/// How an operation was carried out.
enum Sent {
    Whole,
    WithoutPatch,
    LeftOut,
}

/// A body with the time at which it happened.
fn timed(mut body: Value, time: Option<&str>) -> Value {
    if let Some(time) = time {
        body["time"] = time.into();
    }
    body
}

struct Importer<'a> {
    client: &'a Client,
    document: &'a Document,
    output: Output,
    bar: &'a ProgressBar,
    /// Where the log is, so that nobody else's writing gets between.
    at: Cursor,
    imported: Imported,
}

impl Importer<'_> {
    /// Creates the LTM, or finds out how much of it is there.
    async fn begin(
        &mut self,
        operations: &[Operation<'_>],
        id: Option<LtmId>,
    ) -> Result<(), Error> {
        let Some(Operation::Create(first)) = operations.first() else {
            return Err(Error::Input("it does not begin".into()));
        };
        let mut body = self.creation(first, id);
        let mut created = self.create(&body, id).await;
        if is(&created, ProblemKind::PatchFailed) {
            without_patch(&mut body["snapshot"]);
            self.imported.without_patch.push(0);
            created = self.create(&body, id).await;
        }
        match (created, id) {
            (Ok(created), None) => {
                (self.imported.id, self.at) = (created.id, created.cursor);
                return Ok(());
            }
            (Ok(_), Some(id)) => self.imported.id = id,
            // Where another document was imported under this id, the key was used, too.
            (Err(error), Some(id))
                if error.is(ProblemKind::IdTaken) || error.is(ProblemKind::KeyReused) =>
            {
                self.imported.id = id;
            }
            (Err(error), _) => return Err(error.into()),
        }
        self.find(operations).await
    }

    async fn create(&self, body: &Value, id: Option<LtmId>) -> Result<Created, ltm_client::Error> {
        let producer = self.client.producer();
        let create = producer
            .create(body)
            .idempotency_key(id.map(|id| format!("ltm-import-{id}")))
            .on_retry(self.notes_retry());
        Ok(create.send().await?.value)
    }

    fn creation(&self, first: &Value, id: Option<LtmId>) -> Value {
        let Document {
            name,
            fqn,
            params,
            structure,
            concurrent_instances,
            playground,
            created_at,
            ..
        } = self.document;
        let started = first["item"]["playground"].as_bool();
        let mut body = json!({
            "fqn": fqn,
            "playground": playground.or(started).unwrap_or(false),
            "snapshot": first,
        });
        for (field, value) in [
            ("name", json!(name)),
            ("id", json!(id)),
            ("time", json!(created_at)),
            ("params", object(params)),
            ("structure", object(structure)),
            ("concurrent_instances", object(concurrent_instances)),
        ] {
            if !value.is_null() {
                body[field] = value;
            }
        }
        body
    }

    /// How much of the LTM is there; refuses one that is not of this import.
    async fn find(&mut self, operations: &[Operation<'_>]) -> Result<(), Error> {
        let id = self.imported.id;
        let document = self.client.document(id, false).await?;
        let there: There = document.read()?;
        let named = self.document.name.as_ref();
        let entries = usize::try_from(there.cursor.seq).unwrap_or(usize::MAX);
        let ours = there.fqn == self.document.fqn
            && named.is_none_or(|name| *name == there.name)
            // One more is what put the state right.
            && entries <= operations.len() + 1
            && there.is_made_by(&operations[..entries.min(operations.len())]);
        if !ours {
            return Err(Error::Input(format!(
                "LTM {id} is there and is another one: {}, {entries} entries",
                printable(&there.fqn)
            )));
        }
        self.at = there.cursor;
        // The first is of just now, or it does not matter.
        self.imported.before = if entries == 1 { 0 } else { entries };
        Ok(())
    }

    async fn write(&mut self, nth: usize, operation: &Operation<'_>) -> Result<(), Error> {
        let sent = self.send(nth, operation).await;
        match sent.map_err(|error| error.of_snapshot(nth))? {
            Sent::Whole => {}
            Sent::WithoutPatch => self.imported.without_patch.push(nth),
            Sent::LeftOut => self.imported.errors_left_out += 1,
        }
        Ok(())
    }

    async fn send(&mut self, nth: usize, operation: &Operation<'_>) -> Result<Sent, Error> {
        let (producer, id) = (self.client.producer(), self.imported.id);
        let (mut sent, mut at) = (Sent::Whole, self.at);
        match *operation {
            Operation::Create(_) => {}
            Operation::Append(step) => {
                let mut appended = self.once(nth, producer.append(id, step)).send().await;
                if is(&appended, ProblemKind::PatchFailed) {
                    let mut step = step.clone();
                    without_patch(&mut step);
                    appended = self.once(nth, producer.append(id, &step)).send().await;
                    sent = Sent::WithoutPatch;
                }
                at = appended?.cursor;
            }
            Operation::Back { kept, replay, time } => {
                let index = if replay { kept } else { kept - 1 };
                let to = json!({"index": index, "replay": replay});
                let body = timed(json!({"snapshot": to}), time);
                let back = self.once(nth, producer.rollback(id, &body));
                at = back.send().await?.cursor;
            }
            Operation::Undo { index, time } => {
                let body = timed(json!({"rollback": {"index": index}}), time);
                let back = self.once(nth, producer.rollback(id, &body));
                at = back.send().await?.cursor;
            }
            Operation::Error(error) => {
                let body = timed(error.clone(), error["updated_at"].as_str());
                let recorded = self.once(nth, producer.record_error(id, &body));
                let recorded = recorded.send().await;
                if is(&recorded, ProblemKind::InvalidRequest) {
                    sent = Sent::LeftOut;
                } else {
                    at = recorded?.cursor;
                }
            }
        }
        self.at = at;
        Ok(sent)
    }

    /// Where the patches do not lead to the state of the document, says so in the log.
    async fn correct(&mut self, operations: usize) -> Result<(), Error> {
        let id = self.imported.id;
        let state = self.client.state(id, None, None).await?.value.state;
        if equal(&Value::Object(state), &self.document.state) {
            return Ok(());
        }
        if self.imported.before > operations {
            return Err(Error::Input(format!(
                "LTM {id} is there and has another state; somebody wrote to it"
            )));
        }
        let step = json!({"reason": IMPORT, "state": self.document.state});
        let producer = self.client.producer();
        let append = self.once(operations, producer.append(id, &step));
        append.send().await?;
        self.imported.corrected = true;
        self.imported.entries += 1;
        Ok(())
    }

    /// The nth operation, which lands once and only where the one before it is the last.
    fn once<'w, T: DeserializeOwned>(&'w self, nth: usize, write: Write<'w, T>) -> Write<'w, T> {
        write
            .if_match(self.at)
            .idempotency_key(format!("ltm-import-{}-{nth}", self.imported.id))
            .on_retry(self.notes_retry())
    }

    /// Says once that it is tried again.
    fn notes_retry(&self) -> impl Fn(&ltm_client::Error, Duration) + Send + Sync + use<'_> {
        self.output.notes_retry(|note| self.bar.suspend(note))
    }
}

/// A snapshot whose patch does not apply still says that it was taken.
fn without_patch(step: &mut Value) {
    step["patch"] = json!([]);
}

fn object(value: &Value) -> Value {
    let members: Option<&Map<String, Value>> = value.as_object();
    members.map_or(Value::Null, |members| Value::Object(members.clone()))
}

fn is<T>(outcome: &Result<T, ltm_client::Error>, kind: ProblemKind) -> bool {
    matches!(outcome, Err(error) if error.is(kind))
}

fn print(done: &Imported, output: Output) -> Result<(), Error> {
    let Imported {
        id,
        entries,
        before,
        without_patch,
        errors_left_out,
        corrected,
    } = done;
    if output.json() {
        let line = json!({"id": id, "entries": entries, "before": before,
            "without_patch": without_patch, "errors_left_out": errors_left_out, "corrected": corrected});
        return output.line(&line.to_string());
    }
    let mut line = match before {
        0 => format!("LTM {id}, {}", count_of(*entries, "entry")),
        before if before >= entries => format!("LTM {id} is there already"),
        before => format!(
            "LTM {id}, {}, {before} there before",
            count_of(*entries, "entry")
        ),
    };
    if !without_patch.is_empty() {
        line += &format!(
            "; {} without a patch, for theirs does not apply",
            count_of(without_patch.len(), "snapshot")
        );
    }
    if *errors_left_out > 0 {
        line += &format!(
            "; {} left out for having no UUID",
            count_of(*errors_left_out, "error")
        );
    }
    if *corrected {
        line += "; a snapshot `import` at the end puts the state right, which the patches do not lead to";
    }
    output.line(&line)
}

/// A bar on standard error, where that is a terminal.
fn progress_bar(entries: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} entries, {elapsed}");
    let bar = ProgressBar::new(entries);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
