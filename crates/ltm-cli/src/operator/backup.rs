//! `ltm backup`: writes LTMs to a file, directly from Redis.

use std::{
    collections::HashSet,
    fmt::Display,
    fs::{self, File},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use indicatif::{HumanBytes, ProgressBar};
use ltm_service::VERSION;
use ltm_store::{Count, Found, Record, Start, Store, StoreError};
use ltm_types::{LtmId, LtmRef, now};
use serde_json::json;

use super::{
    archive::{ArchiveReader, ArchiveWriter, ReadError},
    redis_args::RedisArgs,
    selection::Selection,
};
use crate::{
    error::Error,
    terminal::{Output, bar_text, progress_bar},
    text::{count_of, to_the_second},
};

/// How a frame of zstd begins.
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

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
    is_free(&args.file)?;
    let redis = args.redis.open(output)?;
    let from = redis.shown_database();
    let store = Store::new(redis);
    let mut backup = Backup::open(args, &store, from, output)?;
    let outcome = backup.take_all(&args.selection).await;
    backup.bar.finish_and_clear();
    if let Err(error) = outcome {
        backup.drop_empty();
        return Err(error);
    }
    let Backup {
        count,
        archive,
        left_out,
        ..
    } = backup;
    let bytes = archive.finish().map_err(|e| failed(&args.file, &e))?;
    report(&args.file, count, bytes, output)?;
    match left_out.len() as u64 {
        0 => Ok(()),
        damaged => Err(Error::Ended(format!(
            "{} not in the backup; the rest is complete; run `ltm verify`",
            count_of(damaged, "damaged LTM")
        ))),
    }
}

/// Says what the file has.
fn report(file: &Path, count: Count, bytes: u64, output: Output) -> Result<(), Error> {
    if output.json() {
        let line =
            json!({"file": file, "ltms": count.ltms, "entries": count.entries, "bytes": bytes});
        return output.json_line(&line.to_string());
    }
    output.line(&format!(
        "{}: {}, {}, {}",
        file.display(),
        count_of(count.ltms, "LTM"),
        count_of(count.entries, "entry"),
        HumanBytes(bytes)
    ))
}

/// Fails if there is a complete backup with this name.
fn is_free(file: &Path) -> Result<(), Error> {
    if file.exists() {
        let advice = format!("{} exists; name another file", file.display());
        return Err(Error::Input(advice));
    }
    Ok(())
}

/// The error of a file.
pub(super) fn failed(file: &Path, error: &dyn Display) -> Error {
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
    /// The LTMs that cannot be read.
    left_out: HashSet<LtmId>,
    output: Output,
    bar: ProgressBar,
}

impl<'a> Backup<'a> {
    /// Opens the file, after the last complete frame of an interrupted backup.
    fn open(args: &'a Args, store: &'a Store, from: String, output: Output) -> Result<Self, Error> {
        let path = &args.file;
        let start = Start {
            form: Start::FORM,
            program: VERSION.into(),
            time: now(),
            chosen: args.selection.texts(),
            redis: Some(from),
        };
        let part = ArchiveWriter::part(path);
        let file = ArchiveWriter::lock(path).map_err(|e| failed(&part, &e))?;
        // The backup that had the lock before may be complete.
        is_free(path)?;
        let earlier = Earlier::read(&file, &start).map_err(|e| failed(&part, &e))?;
        let Earlier {
            done,
            count,
            end,
            begun,
        } = earlier;
        if count.ltms > 0 {
            output.note(&format!(
                "going on with an interrupted backup from {}: it has {}",
                to_the_second(&begun),
                count_of(count.ltms, "LTM")
            ));
        }
        let mut archive = ArchiveWriter::open(path, file, end).map_err(|e| failed(path, &e))?;
        if end == 0 {
            let start = Record::Start(start);
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
            left_out: HashSet::new(),
            output,
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
            if self.is_empty() {
                selection.check_found(false, "Redis")?;
            }
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

    /// Whether the file has no LTM, and none is left out.
    fn is_empty(&self) -> bool {
        self.count.ltms == 0 && self.left_out.is_empty()
    }

    /// Removes a file without an LTM, which would be in the way of a backup of other LTMs.
    fn drop_empty(&self) {
        if self.is_empty() {
            // If it stays, the next backup names it.
            let _ = fs::remove_file(ArchiveWriter::part(&self.args.file));
        }
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
        match self.take_new(id, selection).await {
            Err(Error::Store(error @ StoreError::Damaged { .. })) => {
                self.leave_out(id, &error)?;
                Ok(true)
            }
            outcome => outcome,
        }
    }

    /// Goes on without an LTM that cannot be read.
    fn leave_out(&mut self, id: LtmId, error: &StoreError) -> Result<(), Error> {
        // What the file has of it counts no more.
        self.write(&Record::Again(id))?;
        // A scan may find it once more.
        if self.left_out.insert(id) {
            let note = || self.output.note(&format!("LTM {id} is left out: {error}"));
            self.bar.suspend(note);
        }
        Ok(())
    }

    async fn take_new(&mut self, id: LtmId, selection: &Selection) -> Result<bool, Error> {
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
                    bar_text(&self.bar, &count_of(sum, "entry"));
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

/// What an interrupted backup has, up to the end of its last complete frame.
#[derive(Default)]
struct Earlier {
    done: HashSet<LtmId>,
    count: Count,
    end: u64,
    /// When it began.
    begun: String,
}

impl Earlier {
    /// Reads the file. Fails if another backup began it, or if it is no backup.
    fn read(file: &File, start: &Start) -> io::Result<Self> {
        let mut reader = ArchiveReader::of(file.try_clone()?)?;
        let mut earlier = Self::default();
        let (mut read, mut entries) = (Count::default(), 0);
        let (mut found, mut has_start) = (Vec::new(), false);
        loop {
            let record = reader.next();
            if reader.frames_end() > earlier.end {
                earlier.end = reader.frames_end();
                earlier.count = read;
                earlier.done.extend(found.drain(..));
            }
            let record = match record {
                Ok(record) => record,
                // This frame is written again.
                Err(ReadError::BreaksOff { .. } | ReadError::Damaged { .. }) => break,
                Err(error) => return Err(io::Error::other(error)),
            };
            match record {
                None => break,
                Some(Record::Start(begun)) => {
                    continues(&begun, start)?;
                    earlier.begun = begun.time;
                    has_start = true;
                }
                Some(_) if !has_start => return Err(no_backup()),
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
        if !has_start && !may_begin_backup(file)? {
            return Err(no_backup());
        }
        Ok(earlier)
    }
}

/// Fails unless this backup goes on with the one that has begun.
fn continues(begun: &Start, start: &Start) -> io::Result<()> {
    let advice = "delete it, or name another file";
    if begun.form != start.form || begun.chosen != start.chosen {
        let what = "it is of a backup of other LTMs, or of another version";
        return Err(io::Error::other(format!("{what}; {advice}")));
    }
    if begun.redis != start.redis {
        let other = begun.redis.as_deref().unwrap_or("an unknown Redis");
        let what = format!("it is of a backup of {other}");
        return Err(io::Error::other(format!("{what}; {advice}")));
    }
    Ok(())
}

fn no_backup() -> io::Error {
    io::Error::other("it is no interrupted backup; name another file")
}

/// Whether the file is empty, or begins as a frame does.
fn may_begin_backup(mut file: &File) -> io::Result<bool> {
    let mut first = Vec::new();
    file.rewind()?;
    file.take(MAGIC.len() as u64).read_to_end(&mut first)?;
    Ok(MAGIC.starts_with(&first))
}
