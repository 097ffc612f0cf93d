//! `ltm export`: writes the documents of LTMs, as `ltm import` reads them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::HumanBytes;
use ltm_client::{Client, ListFilter};
use ltm_types::{LtmId, LtmRef, ProblemKind};
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    commands::list::{FilterArgs, INCOMPLETE, read},
    error::Error,
    terminal::{Output, progress_bar},
    text::count_of,
};

/// The arguments of `ltm export`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTMs: ids, or class and key as app.Agent/3f2c [default: those that the options choose]
    #[arg(value_name = "LTM", conflicts_with = "FilterArgs")]
    ltms: Vec<LtmRef>,
    #[command(flatten)]
    filter: FilterArgs,
    /// A new file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// How often a document is asked for if the answer breaks off, the API is overloaded, or a part of Redis is down.
const ATTEMPTS: u32 = 5;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// What is read of a document or of a row.
#[derive(Deserialize)]
struct Known {
    id: LtmId,
    playground: Option<bool>,
}

/// Writes the documents of the LTMs that the arguments choose, one on a line.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let mut target = Target::open(args.file.as_deref(), output)?;
    let filter = args.filter.filter();
    let is_list = args.ltms.is_empty();
    let ltms = match is_list {
        true => listed(client, &filter).await?,
        false => args.ltms.clone(),
    };
    let playground = is_list.then_some(filter.playground);
    let bar = progress_bar(ltms.len() as u64, "LTMs");
    let mut exported = 0_u64;
    for ltm in ltms {
        match document(client, &ltm, playground, |note| {
            bar.suspend(|| output.note(note))
        })
        .await
        {
            Ok(text) => {
                bar.suspend(|| target.line(&text))?;
                exported += 1;
            }
            Err(Error::Client(error)) if is_list && is_gone(&error) => {
                bar.suspend(|| output.note(&format!("LTM {ltm} was deleted meanwhile")));
            }
            Err(error) => return Err(error),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    target.finish(exported)
}

/// The LTMs of a list that lacks none.
async fn listed(client: &Client, filter: &ListFilter) -> Result<Vec<LtmRef>, Error> {
    let mut ltms = Vec::new();
    let is_incomplete = read(client, filter, usize::MAX, |page, row| {
        let Known { id, .. } = page.part(row)?;
        ltms.push(id.into());
        Ok(())
    });
    if is_incomplete.await? {
        let why = format!("nothing was exported: {INCOMPLETE}; try again later");
        return Err(Error::Ended(why));
    }
    Ok(ltms)
}

fn is_gone(error: &ltm_client::Error) -> bool {
    error.is(ProblemKind::UnknownLtm) || error.is(ProblemKind::DeletedLtm)
}

/// The document of an LTM with its rollbacks, and whether it is in the playground. Tries again if that may help.
async fn document(
    client: &Client,
    ltm: &LtmRef,
    playground: Option<bool>,
    note: impl Fn(&str),
) -> Result<String, Error> {
    let mut attempts = 1;
    loop {
        let error = match try_document(client, ltm, playground).await {
            Err(error) if may_pass(&error) && attempts < ATTEMPTS => error,
            done => return done,
        };
        note(&format!("LTM {ltm}: {error}; trying again ..."));
        attempts += 1;
        sleep(PAUSE).await;
    }
}

/// Whether another attempt may succeed.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Client(ltm_client::Error::Refused { .. }) => false,
        // The list of the playground may have lacked the LTM.
        Error::Ended(_) => true,
        error => error.is_temporary(),
    }
}

async fn try_document(
    client: &Client,
    ltm: &LtmRef,
    playground: Option<bool>,
) -> Result<String, Error> {
    let document = client.document(ltm, true).await?;
    let known: Known = document.read()?;
    let text = document.text().trim_end();
    let Some(members) = text
        .strip_suffix('}')
        .filter(|_| known.playground.is_none())
    else {
        return Ok(text.into());
    };
    // Documents do not say it.
    let playground = match playground {
        Some(playground) => playground,
        None => in_playground(client, known.id).await?,
    };
    Ok(format!("{members},\"playground\":{playground}}}"))
}

/// Whether the LTM is in the list of the playground.
async fn in_playground(client: &Client, id: LtmId) -> Result<bool, Error> {
    let filter = ListFilter {
        playground: true,
        ..ListFilter::default()
    };
    let before = id
        .get()
        .checked_add(1)
        .and_then(|next| LtmId::new(next).ok());
    let page = client.list(&filter, 1, before).await?;
    let rows: Vec<Known> = page.rows.read()?;
    let is_there = rows.iter().any(|row| row.id == id);
    if !is_there && page.is_incomplete {
        let why = format!("whether it is in the playground is not known: {INCOMPLETE}");
        return Err(Error::Ended(why));
    }
    Ok(is_there)
}

/// Where the documents go.
enum Target {
    Output(Output),
    File(NewFile, Output),
}

impl Target {
    fn open(file: Option<&Path>, output: Output) -> Result<Self, Error> {
        match file {
            None => Ok(Self::Output(output)),
            Some(path) => Ok(Self::File(NewFile::create(path)?, output)),
        }
    }

    fn line(&mut self, text: &str) -> Result<(), Error> {
        match self {
            Self::Output(output) => output.json_line(text),
            Self::File(file, _) => file.line(text),
        }
    }

    /// Completes the file, and says what it has.
    fn finish(self, ltms: u64) -> Result<(), Error> {
        let (file, output) = match self {
            Self::Output(output) => {
                output.note(&format!("exported {}", count_of(ltms, "LTM")));
                return Ok(());
            }
            Self::File(file, output) => (file, output),
        };
        let (path, bytes) = file.finish()?;
        if output.json() {
            let line = json!({"file": path, "ltms": ltms, "bytes": bytes});
            return output.json_line(&line.to_string());
        }
        let (ltms, bytes) = (count_of(ltms, "LTM"), HumanBytes(bytes));
        output.line(&format!("{}: {ltms}, {bytes}", path.display()))
    }
}

/// A file that has its name only when it is complete; until then, the name ends in `.part`.
struct NewFile {
    path: PathBuf,
    part: PathBuf,
    writer: BufWriter<File>,
    bytes: u64,
}

impl NewFile {
    fn create(path: &Path) -> Result<Self, Error> {
        if path.exists() {
            return Err(exists(path));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        // Nobody else may read the states.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&part).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::Input(format!(
                "{} exists: another export writes it, or was interrupted; delete it, or name another file",
                part.display()
            )),
            _ => failed(&part, &error),
        })?;
        Ok(Self {
            path: path.into(),
            part,
            writer: BufWriter::new(file),
            bytes: 0,
        })
    }

    fn line(&mut self, text: &str) -> Result<(), Error> {
        self.bytes += text.len() as u64 + 1;
        let written = writeln!(self.writer, "{text}");
        written.map_err(|e| failed(&self.part, &e))
    }

    fn finish(mut self) -> Result<(PathBuf, u64), Error> {
        let complete = self.writer.flush();
        let complete = complete.and_then(|()| self.writer.get_ref().sync_all());
        let complete = complete.and_then(|()| publish(&self.part, &self.path));
        complete.map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => exists(&self.path),
            _ => failed(&self.path, &e),
        })?;
        Ok((self.path.clone(), self.bytes))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Nobody else has made it: it was there until now. A complete file has another name, too.
        let _ = fs::remove_file(&self.part);
    }
}

fn exists(file: &Path) -> Error {
    Error::Input(format!("{} exists; name another file", file.display()))
}

/// Gives a file its name, and replaces no file that has appeared meanwhile.
fn publish(part: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(part, path) {
        // The file system has no hard links.
        Err(error)
            if error.kind() == ErrorKind::Unsupported
                || error.kind() == ErrorKind::PermissionDenied =>
        {
            if path.exists() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(part, path)
        }
        linked => linked,
    }
}

fn failed(file: &Path, error: &std::io::Error) -> Error {
    Error::Input(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_replaces_no_file_and_removes_only_its_own_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        let part = dir.path().join("x.jsonl.part");
        let mut file = NewFile::create(&path).unwrap();
        file.line("{}").unwrap();
        assert!(NewFile::create(&path).is_err(), "another export writes it");
        assert!(part.exists());
        fs::write(&path, "of somebody else").unwrap();
        let refused = file.finish().unwrap_err();
        assert!(refused.to_string().contains("exists"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"of somebody else");
        assert!(!part.exists());

        fs::remove_file(&path).unwrap();
        let mut file = NewFile::create(&path).unwrap();
        file.line("{}").unwrap();
        assert_eq!(file.finish().unwrap(), (path.clone(), 3));
        assert_eq!(fs::read(&path).unwrap(), b"{}\n");
        assert!(!part.exists());
    }
}
