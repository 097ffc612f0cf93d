//! `ltm restore`: restores LTMs from a file of `ltm backup`, directly into Redis.

use std::{collections::BTreeSet, fs, path::PathBuf};

use indicatif::ProgressBar;
use ltm_store::{LtmKeys, Record, Restore, Restored, Skipped, Start, Store};
use ltm_types::{LtmId, LtmRef};
use serde_json::json;

use super::{
    archive::{ArchiveReader, ReadError},
    backup::failed,
    redis_args::RedisArgs,
    selection::Selection,
};
use crate::{
    error::Error,
    terminal::{Output, bar_text, bytes_bar},
    text::count_of,
};

/// The arguments of `ltm restore`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The file to read
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// The Redis to write.
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
}

/// What a restore has done.
#[derive(Default)]
struct Sum {
    restored: u64,
    entries: u64,
    present: u64,
    conflicts: u64,
    /// Whether the backup is complete.
    is_whole: bool,
    /// Why the rest of the file cannot be read.
    broken: Option<ReadError>,
    /// The LTMs of the arguments that the backup has.
    found: BTreeSet<String>,
    /// Whether the backup has an LTM that is chosen.
    has_chosen: bool,
}

/// Restores what the arguments choose; fails if an LTM could not be restored.
pub(crate) async fn run(args: &Args, output: Output) -> Result<(), Error> {
    let file = fs::metadata(&args.file).map_err(|e| failed(&args.file, &e))?;
    if !file.is_file() {
        let why = "it must be a file, because the command reads it twice";
        return Err(failed(&args.file, &why));
    }
    let store = Store::new(args.redis.open(output)?);
    let mut archive = ArchiveReader::open(&args.file).map_err(|e| failed(&args.file, &e))?;
    let bar = bytes_bar(archive.length());
    let mut restoring = Restoring {
        args,
        output,
        restore: store.restore(),
        bar: &bar,
        chosen: true,
        entries: 0,
        sum: Sum::default(),
    };
    let outcome = restoring.take_all(&mut archive).await;
    let Restoring { restore, sum, .. } = restoring;
    let finished = restore.finish().await;
    bar.finish_and_clear();
    outcome?;
    finished?;
    report(args, &sum, output)
}

fn report(args: &Args, sum: &Sum, output: Output) -> Result<(), Error> {
    if output.json() {
        let line = json!({"restored": sum.restored, "entries": sum.entries, "present": sum.present, "conflicts": sum.conflicts});
        output.json_line(&line.to_string())?;
    } else {
        output.line(&format!(
            "restored {}, {}; {} there already",
            count_of(sum.restored, "LTM"),
            count_of(sum.entries, "entry"),
            sum.present
        ))?;
    }
    let missing: Vec<String> = args
        .selection
        .ltms
        .iter()
        .map(ToString::to_string)
        .collect();
    let missing: Vec<_> = missing
        .iter()
        .filter(|it| !sum.found.contains(*it))
        .collect();
    if let Some(first) = missing.first() {
        return Err(Error::NotFound(format!("the backup has no LTM {first}")));
    }
    if !sum.is_whole {
        return Err(incomplete(args, sum));
    }
    args.selection.check_found(sum.has_chosen, "the backup")?;
    match sum.conflicts {
        0 => Ok(()),
        count => Err(Error::Ended(format!(
            "{} not restored",
            count_of(count, "LTM")
        ))),
    }
}

/// The error of a file that cannot be read up to its end.
fn incomplete(args: &Args, sum: &Sum) -> Error {
    let why = match &sum.broken {
        Some(error) => error.to_string(),
        None => "it breaks off at its end".into(),
    };
    let advice = match args.file.extension() {
        Some(end) if end == "part" => "run `ltm backup` again to complete the file",
        _ => "use another copy of the file",
    };
    Error::Ended(format!(
        "{}: {why}; the LTMs before are restored; {advice}",
        args.file.display()
    ))
}

/// A restore under way.
struct Restoring<'a> {
    args: &'a Args,
    output: Output,
    restore: Restore,
    bar: &'a ProgressBar,
    /// Whether the LTM whose records come is chosen.
    chosen: bool,
    /// The entries of that LTM.
    entries: u64,
    sum: Sum,
}

impl Restoring<'_> {
    async fn take_all(&mut self, archive: &mut ArchiveReader) -> Result<(), Error> {
        let mut is_first = true;
        loop {
            let record = match archive.next() {
                Ok(record) => record,
                // The report says so.
                Err(error) if !is_first || matches!(error, ReadError::BreaksOff { .. }) => {
                    self.sum.broken = Some(error);
                    return Ok(());
                }
                Err(error) => {
                    let file = self.args.file.display();
                    return Err(Error::Input(format!("{file} is not a backup: {error}")));
                }
            };
            let Some(record) = record else { return Ok(()) };
            match &record {
                Record::Start(start) if start.form == Start::FORM => is_first = false,
                _ if is_first => {
                    let advice =
                        "the file is a backup of a newer version; use that version of `ltm`";
                    return Err(Error::Input(advice.into()));
                }
                Record::Complete(_) => self.sum.is_whole = true,
                _ => {}
            }
            self.bar.set_position(archive.position());
            self.take(record).await?;
        }
    }

    async fn take(&mut self, record: Record) -> Result<(), Error> {
        let selection = &self.args.selection;
        match &record {
            Record::Ltm(keys) => {
                self.chosen = self.chooses(keys);
                self.sum.has_chosen |= self.chosen;
                self.entries = 0;
            }
            Record::Entries(entries) => self.entries += entries.len() as u64,
            Record::Again(_) | Record::End(_) => {}
            _ if selection.is_everything() => self.chosen = true,
            _ => self.chosen = false,
        }
        if !self.chosen {
            return Ok(());
        }
        match self.restore.take(record).await? {
            Restored::Taken => {}
            Restored::Ltm(_) => {
                self.sum.restored += 1;
                self.sum.entries += self.entries;
                let (ltms, entries) = (self.sum.restored, self.sum.entries);
                let message = format!("{}, {}", count_of(ltms, "LTM"), count_of(entries, "entry"));
                bar_text(self.bar, &message);
            }
            Restored::Skipped(_, Skipped::Present) => self.sum.present += 1,
            Restored::Skipped(id, why) => self.conflict(id, &why),
        }
        Ok(())
    }

    /// Whether an LTM is among the chosen ones.
    fn chooses(&mut self, keys: &LtmKeys) -> bool {
        let Selection { ltms, .. } = &self.args.selection;
        let is = |ltm: &&LtmRef| match ltm {
            LtmRef::Id(id) => *id == keys.id,
            LtmRef::Key(key) => {
                key.fqn() == keys.fqn() && keys.meta.get("key").is_some_and(|it| it == key.key())
            }
        };
        if let Some(ltm) = ltms.iter().find(is) {
            self.sum.found.insert(ltm.to_string());
            return true;
        }
        ltms.is_empty() && self.args.selection.has_class(keys.fqn())
    }

    fn conflict(&mut self, id: LtmId, why: &Skipped) {
        self.sum.conflicts += 1;
        let note = || {
            self.output
                .note(&format!("LTM {id} is not restored: {why}"))
        };
        self.bar.suspend(note);
    }
}
