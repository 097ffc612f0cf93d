//! `ltm import`: writes LTMs from documents.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::ProgressBar;
use ltm_client::{Client, Created, Write};
use ltm_state::json::{self, number::equal};
use ltm_types::{Cursor, LtmId, ProblemKind, canonical_time};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    import_plan::{FlouDocument, Operation, history_after},
    recording::{last_document, not_a_document},
};
use crate::{
    error::Error,
    input::read_documents,
    terminal::{Output, progress_bar},
    text::{count_of, printable},
};

/// The arguments of `ltm import`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Files with documents; - reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The id of the LTM instead of the document's own, if there is one document
    #[arg(long, value_name = "N")]
    id: Option<LtmId>,
    /// The key of the LTM instead of the document's own, if there is one document
    #[arg(long)]
    key: Option<String>,
}

/// The most snapshots that are sent together.
const MAX_BATCH: usize = 1000;
/// The bytes after which no further snapshot joins those that are sent together.
const MAX_BYTES: usize = 1024 * 1024;
/// The reason of the snapshot that corrects the state.
const IMPORT: &str = "import";

/// The LTM that already has the id.
#[derive(Deserialize)]
struct ExistingLtm {
    name: String,
    fqn: String,
    cursor: Cursor,
    snapshots_count: u64,
    snapshots: Vec<ExistingSnapshot>,
}

#[derive(Deserialize)]
struct ExistingSnapshot {
    time: String,
    reason: String,
}

impl ExistingLtm {
    /// Whether its history ends as these operations make it.
    fn is_made_by(&self, operations: &[Operation<'_>]) -> bool {
        let history = history_after(operations);
        let more = self.snapshots_count.checked_sub(history.len() as u64);
        let mut existing = self.snapshots.iter().rev();
        match more {
            Some(0) => {}
            // The snapshot that corrected the state.
            Some(1) if existing.next().is_some_and(|step| step.reason == IMPORT) => {}
            _ => return false,
        }
        let (Some(existing), Some(step)) = (existing.next(), history.last()) else {
            return history.is_empty();
        };
        let time = step["time"].as_str().map(canonical_time);
        step["reason"] == existing.reason
            && time.is_none_or(|time| time.as_ref() == Ok(&existing.time))
    }
}

/// The outcome of importing one document.
pub(crate) struct Imported {
    id: LtmId,
    /// The entries of the log.
    entries: usize,
    /// The entries that an earlier import had written.
    before: usize,
    /// The snapshots that were written without their patch, because it does not apply.
    without_patch: Vec<usize>,
    /// The errors that could not be recorded.
    errors_left_out: usize,
    /// Whether a last snapshot had to correct the state.
    corrected: bool,
}

/// Imports all documents of the files. If one fails, the others are imported, and the command fails at the end.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let mut run = ImportRun {
        client,
        args,
        output,
        imported: 0,
        failed: 0,
    };
    for file in &args.files {
        let ended = run.import_file(file).await;
        run.note_failure(file, ended)?;
    }
    let imported = count_of(run.imported, "document");
    match run.failed {
        0 if run.imported == 0 => Err(Error::Input("the input has no document".into())),
        0 => {
            output.note(&format!("imported {imported}"));
            Ok(())
        }
        failed => Err(Error::Ended(format!(
            "imported {imported}; {} failed",
            count_of(failed, "document")
        ))),
    }
}

/// One run of the command.
struct ImportRun<'a> {
    client: &'a Client,
    args: &'a Args,
    output: Output,
    imported: u64,
    failed: u64,
}

impl ImportRun<'_> {
    async fn import_file(&mut self, file: &Path) -> Result<(), Error> {
        let mut values = read_documents(file)?;
        while let Some(value) = values.recv().await {
            let value = value?;
            for text in documents(&value)? {
                let done = self.import_text(text).await;
                self.note_failure(file, done)?;
            }
        }
        Ok(())
    }

    async fn import_text(&mut self, text: &RawValue) -> Result<(), Error> {
        let named = self.args.id.is_some() || self.args.key.is_some();
        if named && self.imported + self.failed > 0 {
            return Err(Error::Input(
                "--id and --key name one LTM, and the input has more than one document".into(),
            ));
        }
        let done = import_one(self.client, text, self.args, self.output).await?;
        self.imported += 1;
        print(&done, self.output)
    }

    /// Notes and counts a failure. Only a failure to print ends the command at once.
    fn note_failure(&mut self, file: &Path, outcome: Result<(), Error>) -> Result<(), Error> {
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

/// The documents in a value of a file: the value itself, or the items of a list.
fn documents(value: &RawValue) -> Result<Vec<&RawValue>, Error> {
    if value.get().starts_with('[') {
        return json::read(value.get()).map_err(|e| not_a_document(&e));
    }
    Ok(vec![value])
}

async fn import_one(
    client: &Client,
    text: &RawValue,
    args: &Args,
    output: Output,
) -> Result<Imported, Error> {
    let (text, recorded_id) = last_document(text.get())?;
    let mut document: FlouDocument = json::read(text).map_err(|e| not_a_document(&e))?;
    if let Some(next) = document.next_rollback {
        return Err(Error::Input(format!(
            "the document has only the rollbacks before {next}; `ltm --json get --rollbacks` gets all of them"
        )));
    }
    if args.key.is_some() {
        document.key.clone_from(&args.key);
    }
    let own = document.id.or(recorded_id).map(LtmId::new).transpose();
    let own = own.map_err(|e| Error::Input(e.to_string()))?;
    import(client, &document, args.id.or(own), output).await
}

/// Writes the LTM of a document, or the rest of it if an earlier import was interrupted.
pub(crate) async fn import(
    client: &Client,
    document: &FlouDocument,
    id: Option<LtmId>,
    output: Output,
) -> Result<Imported, Error> {
    let operations = document.operations();
    let Some(Operation::Create(first)) = operations.first() else {
        return Err(Error::Input(
            "the document has no snapshots, so nothing leads to its state".into(),
        ));
    };
    let bar = progress_bar(operations.len() as u64, "entries");
    let target = Target {
        client,
        document,
        output,
        bar: &bar,
    };
    let mut importer = target.begin(first, id, &operations).await?;
    let mut nth = importer.imported.before.max(1);
    while let Some(operation) = operations.get(nth) {
        bar.set_position(nth as u64);
        let steps = appends(&operations[nth..]);
        nth += match steps.len() {
            0 | 1 => importer.write(nth, operation).await?,
            _ => importer.write_all(nth, &steps).await?,
        };
    }
    importer.correct(operations.len()).await?;
    bar.finish_and_clear();
    Ok(importer.imported)
}

/// The snapshots at the beginning of the operations, as many as are sent together.
fn appends<'a>(operations: &'a [Operation<'_>]) -> Vec<&'a Value> {
    let mut bytes = 0;
    let step = |operation: &'a Operation<'_>| match operation {
        Operation::Append(step) if bytes < MAX_BYTES => {
            bytes += step.to_string().len();
            Some(*step)
        }
        _ => None,
    };
    operations.iter().take(MAX_BATCH).map_while(step).collect()
}

/// What is imported, and where to.
#[derive(Clone, Copy)]
struct Target<'a> {
    client: &'a Client,
    document: &'a FlouDocument,
    output: Output,
    bar: &'a ProgressBar,
}

impl<'a> Target<'a> {
    /// Creates the LTM, or finds out how much of it an earlier import has written.
    async fn begin(
        self,
        first: &Value,
        id: Option<LtmId>,
        operations: &[Operation<'_>],
    ) -> Result<Importer<'a>, Error> {
        let mut body = self.creation(first, id);
        let mut created = self.create(&body, id).await;
        let mut without_patch = Vec::new();
        if is(&created, ProblemKind::PatchFailed) {
            clear_patch(&mut body["snapshot"]);
            without_patch.push(0);
            created = self.create(&body, id).await;
        }
        let (id, at, before) = match (created, id) {
            (Ok(created), None) if created.created => (created.id, created.cursor, 0),
            (Ok(created), _) => self.find(created.id, operations).await?,
            // If another document was imported under this id, the idempotency key was used, too.
            (Err(error), Some(id))
                if error.is(ProblemKind::IdTaken) || error.is(ProblemKind::KeyReused) =>
            {
                self.find(id, operations).await?
            }
            (Err(error), _) => return Err(error.into()),
        };
        Ok(Importer {
            target: self,
            at,
            imported: Imported {
                id,
                entries: operations.len(),
                before,
                without_patch,
                errors_left_out: 0,
                corrected: false,
            },
        })
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
        let FlouDocument {
            key,
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
            ("key", json!(key)),
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

    /// The id and the cursor of the LTM, and how many entries an earlier import has written. Refuses an LTM that
    /// does not come from this document.
    async fn find(
        &self,
        id: LtmId,
        operations: &[Operation<'_>],
    ) -> Result<(LtmId, Cursor, usize), Error> {
        let document = self.client.document(id, false).await?;
        let existing: ExistingLtm = document.read()?;
        let named = self.document.name.as_ref();
        let entries = usize::try_from(existing.cursor.seq).unwrap_or(usize::MAX);
        let same = existing.fqn == self.document.fqn
            && named.is_none_or(|name| *name == existing.name)
            // One more is the snapshot that corrected the state.
            && entries <= operations.len() + 1
            && existing.is_made_by(&operations[..entries.min(operations.len())]);
        if !same {
            return Err(Error::Input(format!(
                "LTM {id} already exists and has a different history: {}, {}",
                printable(&existing.fqn),
                count_of(entries, "entry")
            )));
        }
        // If there is one entry, this import has probably just written it.
        let before = if entries == 1 { 0 } else { entries };
        Ok((id, existing.cursor, before))
    }

    fn notes_retry(&self) -> impl Fn(&ltm_client::Error, Duration) + Send + Sync + use<'a> {
        let bar = self.bar;
        self.output.notes_retry(|note| bar.suspend(note))
    }
}

/// How an operation was written.
enum Written {
    Whole,
    WithoutPatch,
    LeftOut,
}

/// Writes the entries after the first.
struct Importer<'a> {
    target: Target<'a>,
    /// The cursor of the log. Each write names it, so that no other writer gets in between.
    at: Cursor,
    imported: Imported,
}

impl Importer<'_> {
    /// Writes snapshots in one request, or the first of them if one behind them does not apply or if they are too large
    /// together. Returns how many it wrote.
    async fn write_all(&mut self, nth: usize, steps: &[&Value]) -> Result<usize, Error> {
        let (producer, id) = (self.target.client.producer(), self.imported.id);
        let mut count = steps.len();
        loop {
            if count == 1 {
                return self.write(nth, &Operation::Append(steps[0])).await;
            }
            let append = producer.append_all(id, &steps[..count]);
            match self.once(nth, append).send().await {
                Ok(appended) => {
                    self.at = appended.cursor;
                    return Ok(count);
                }
                Err(error) if error.is(ProblemKind::BodyTooLarge) => count = count.div_ceil(2),
                Err(error) => match error.snapshot() {
                    Some(wrong) if wrong < count => count = wrong.max(1),
                    _ => return Err(Error::from(error).of_snapshot(nth)),
                },
            }
        }
    }

    /// Writes one operation. Returns how many it wrote.
    async fn write(&mut self, nth: usize, operation: &Operation<'_>) -> Result<usize, Error> {
        let written = self.send(nth, operation).await;
        match written.map_err(|error| error.of_snapshot(nth))? {
            Written::Whole => {}
            Written::WithoutPatch => self.imported.without_patch.push(nth),
            Written::LeftOut => self.imported.errors_left_out += 1,
        }
        Ok(1)
    }

    async fn send(&mut self, nth: usize, operation: &Operation<'_>) -> Result<Written, Error> {
        let (producer, id) = (self.target.client.producer(), self.imported.id);
        let (mut written, mut at) = (Written::Whole, self.at);
        match *operation {
            Operation::Create(_) => {}
            Operation::Append(step) => {
                let mut appended = self.once(nth, producer.append(id, step)).send().await;
                if is(&appended, ProblemKind::PatchFailed) {
                    let mut step = step.clone();
                    clear_patch(&mut step);
                    appended = self.once(nth, producer.append(id, &step)).send().await;
                    written = Written::WithoutPatch;
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
                    written = Written::LeftOut;
                } else {
                    at = recorded?.cursor;
                }
            }
        }
        self.at = at;
        Ok(written)
    }

    /// If the patches do not lead to the state of the document, appends a snapshot that does.
    async fn correct(&mut self, operations: usize) -> Result<(), Error> {
        let (client, id) = (self.target.client, self.imported.id);
        let state = client.state(id, None, None).await?.value.state;
        if equal(&Value::Object(state), &self.target.document.state) {
            return Ok(());
        }
        if self.imported.before > operations {
            return Err(Error::Input(format!(
                "LTM {id} already exists and has a different state; another writer has changed it"
            )));
        }
        let step = json!({"reason": IMPORT, "state": self.target.document.state});
        let producer = client.producer();
        let append = self.once(operations, producer.append(id, &step));
        append.send().await?;
        self.imported.corrected = true;
        self.imported.entries += 1;
        Ok(())
    }

    /// The nth write. It lands once, and only if the log is at the cursor of the write before it.
    fn once<'w, T: DeserializeOwned>(&'w self, nth: usize, write: Write<'w, T>) -> Write<'w, T> {
        write
            .if_match(self.at)
            .idempotency_key(format!("ltm-import-{}-{nth}", self.imported.id))
            .on_retry(self.target.notes_retry())
    }
}

/// A body with the time at which it happened.
fn timed(mut body: Value, time: Option<&str>) -> Value {
    if let Some(time) = time {
        body["time"] = time.into();
    }
    body
}

/// Empties a patch that does not apply; the snapshot itself is kept.
fn clear_patch(step: &mut Value) {
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
        return output.json_line(&line.to_string());
    }
    let mut line = match before {
        0 => format!("LTM {id}, {}", count_of(*entries, "entry")),
        before if before >= entries => format!("LTM {id} is imported already"),
        before => format!(
            "LTM {id}, {}, {before} of them imported before",
            count_of(*entries, "entry")
        ),
    };
    if !without_patch.is_empty() {
        line += &format!(
            "; {} written without the patch, which does not apply",
            count_of(without_patch.len(), "snapshot")
        );
    }
    if *errors_left_out > 0 {
        line += &format!(
            "; {} skipped for lack of a UUID",
            count_of(*errors_left_out, "error")
        );
    }
    if *corrected {
        line += "; the patches do not lead to the document's state, so a last snapshot, reason `import`, sets it";
    }
    output.line(&line)
}
