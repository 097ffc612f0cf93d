//! `ltm backup`: writes LTMs to a file, directly from Redis.

use std::{
    collections::HashSet,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use indicatif::{HumanBytes, ProgressBar};
use ltm_service::VERSION;
use ltm_store::{Count, Found, Record, Redis, Start, Store, StoreError};
use ltm_types::{LtmId, LtmRef, now};
use serde_json::json;

use super::{
    archive::{ArchiveReader, ArchiveWriter},
    redis_args::RedisArgs,
    selection::Selection,
};
use crate::{
    error::Error,
    terminal::{Output, progress_bar},
    text::count_of,
};

/// The arguments of `ltm backup`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The file to write
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// The Redis to read.
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
}

/// Writes the backup, or goes on with one that was interrupted.
pub(crate) async fn run(args: &Args, output: Output) -> Result<(), Error> {
    if args.file.exists() {
        let advice = format!("{} exists; name another file", args.file.display());
        return Err(Error::Input(advice));
    }
    let store = Store::new(Redis::open(&args.redis.settings()?)?);
    let mut backup = Backup::open(args, &store)?;
    if backup.count.ltms > 0 {
        let had = count_of(backup.count.ltms, "LTM");
        output.note(&format!(
            "going on with an interrupted backup: it has {had}"
        ));
    }
    let outcome = backup.take_all(&args.selection).await;
    backup.bar.finish_and_clear();
    outcome?;
    let Backup { count, archive, .. } = backup;
    let bytes = archive.finish().map_err(|e| failed(&args.file, &e))?;
    if output.json() {
        let line = json!({"file": args.file, "ltms": count.ltms, "entries": count.entries, "bytes": bytes});
        return output.json_line(&line.to_string());
    }
    output.line(&format!(
        "{}: {}, {}, {}",
        args.file.display(),
        count_of(count.ltms, "LTM"),
        count_of(count.entries, "entry"),
        HumanBytes(bytes)
    ))
}

/// The error of a file.
pub(super) fn failed(file: &Path, error: &io::Error) -> Error {
    Error::Input(format!("{}: {error}", file.display()))
}

/// A backup that is being written.
struct Backup<'a> {
    args: &'a Args,
    store: &'a Store,
    archive: ArchiveWriter,
    /// The LTMs that the file has.
    done: HashSet<LtmId>,
    count: Count,
    bar: ProgressBar,
}

impl<'a> Backup<'a> {
    /// Opens the file, after the last complete frame of an interrupted backup.
    fn open(args: &'a Args, store: &'a Store) -> Result<Self, Error> {
        let path = &args.file;
        let chosen = args.selection.texts();
        let (mut done, mut count, mut at) = (HashSet::new(), Count::default(), 0);
        match ArchiveReader::open(&ArchiveWriter::part(path)) {
            Ok(mut earlier) => {
                at = read_earlier(&mut earlier, &chosen, &mut done, &mut count)
                    .map_err(|e| failed(&ArchiveWriter::part(path), &e))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(path, &error)),
        }
        let mut archive = ArchiveWriter::open(path, at).map_err(|e| failed(path, &e))?;
        if at == 0 {
            let start = Record::Start(Start {
                form: Start::FORM,
                program: VERSION.into(),
                time: now(),
                chosen,
            });
            archive.write(&start).map_err(|e| failed(path, &e))?;
        }
        let bar = progress_bar(count.ltms, "LTMs");
        bar.set_position(count.ltms);
        Ok(Self {
            args,
            store,
            archive,
            done,
            count,
            bar,
        })
    }

    fn write(&mut self, record: &Record) -> Result<(), Error> {
        let file = &self.args.file;
        self.archive.write(record).map_err(|e| failed(file, &e))
    }

    async fn take_all(&mut self, selection: &Selection) -> Result<(), Error> {
        if selection.ltms.is_empty() {
            self.bar.set_length(self.store.number_of_ltms().await?);
            self.scan(selection).await?;
        } else {
            self.bar.set_length(selection.ltms.len() as u64);
            for ltm in &selection.ltms {
                let id = match ltm {
                    LtmRef::Id(id) => *id,
                    LtmRef::Key(key) => self.store.id_of(key).await?,
                };
                if !self.take(id, selection).await? && !self.done.contains(&id) {
                    return Err(StoreError::Unknown(id).into());
                }
            }
        }
        if selection.is_everything() {
            for record in self.store.back_up_rest().await? {
                self.write(&record)?;
            }
        }
        self.write(&Record::Complete(self.count))
    }

    /// Takes everything that a scan of the keys finds.
    async fn scan(&mut self, selection: &Selection) -> Result<(), Error> {
        let mut scan = self.store.scan().await?;
        while let Some(found) = scan.next().await? {
            for found in found {
                match found {
                    Found::Ltm(id) => {
                        self.take(id, selection).await?;
                    }
                    // It was deleted after the backup took it.
                    Found::Other(Record::Deleted { id, .. }) if self.done.contains(&id) => {}
                    Found::Other(record) if selection.is_everything() => self.write(&record)?,
                    Found::Other(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Takes an LTM, unless the file has it. Returns whether there is one and it is chosen.
    async fn take(&mut self, id: LtmId, selection: &Selection) -> Result<bool, Error> {
        if self.done.contains(&id) {
            return Ok(false);
        }
        let Some(mut ltm) = self.store.back_up(id).await? else {
            return Ok(false);
        };
        let mut entries = 0;
        while let Some(record) = ltm.next().await? {
            match &record {
                Record::Ltm(keys) if !selection.has_class(keys.fqn()) => return Ok(false),
                Record::Ltm(_) => entries = 0,
                Record::Entries(some) => {
                    entries += some.len() as u64;
                    let sum = self.count.entries + entries;
                    self.bar.set_message(count_of(sum, "entry"));
                    self.bar.tick();
                }
                Record::End(_) => {
                    self.count.ltms += 1;
                    self.count.entries += entries;
                    self.done.insert(id);
                    self.bar.inc(1);
                }
                _ => {}
            }
            self.write(&record)?;
        }
        let file = &self.args.file;
        self.archive.pause().map_err(|e| failed(file, &e))?;
        Ok(true)
    }
}

/// Reads an interrupted backup: what it has, up to the end of its last complete frame. Returns that end.
fn read_earlier(
    earlier: &mut ArchiveReader,
    chosen: &[String],
    done: &mut HashSet<LtmId>,
    count: &mut Count,
) -> io::Result<u64> {
    let (mut end, mut entries) = (0, 0);
    let (mut read, mut found) = (Count::default(), Vec::new());
    loop {
        let record = earlier.next();
        if earlier.frames_end() > end {
            end = earlier.frames_end();
            *count = read;
            done.extend(found.drain(..));
        }
        // A frame that breaks off is written again.
        let Ok(record) = record else { break };
        match record {
            None => break,
            Some(Record::Start(start)) if start.form != Start::FORM || start.chosen != chosen => {
                let advice = "it is of a backup of other LTMs, or of another version; delete it, or name another file";
                return Err(io::Error::other(advice));
            }
            Some(Record::Ltm(_)) => entries = 0,
            Some(Record::Entries(some)) => entries += some.len() as u64,
            Some(Record::End(id)) => {
                read.ltms += 1;
                read.entries += entries;
                found.push(id);
            }
            Some(_) => {}
        }
    }
    Ok(end)
}
