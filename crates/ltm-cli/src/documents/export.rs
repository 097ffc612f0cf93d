//! `ltm export`: writes the documents of LTMs, as `ltm import` reads them.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, ErrorKind, Write as _},
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
    terminal::{Output, progress_bar, retry_note},
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

/// How often a document is asked for if the answer breaks off or the API is overloaded.
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
        true => listed(client, &filter, output).await?,
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

/// The LTMs of a list.
async fn listed(
    client: &Client,
    filter: &ListFilter,
    output: Output,
) -> Result<Vec<LtmRef>, Error> {
    let mut ltms = Vec::new();
    let is_incomplete = read(client, filter, usize::MAX, |page, row| {
        let Known { id, .. } = page.part(row)?;
        ltms.push(id.into());
        Ok(())
    });
    if is_incomplete.await? {
        output.note(INCOMPLETE);
    }
    Ok(ltms)
}

fn is_gone(error: &ltm_client::Error) -> bool {
    error.is(ProblemKind::UnknownLtm) || error.is(ProblemKind::DeletedLtm)
}

/// The document of an LTM with its rollbacks, and whether it is in the playground.
async fn document(
    client: &Client,
    ltm: &LtmRef,
    playground: Option<bool>,
    note: impl Fn(&str),
) -> Result<String, Error> {
    let mut attempts = 1;
    let document = loop {
        match client.document(ltm, true).await {
            Ok(document) => break document,
            Err(error @ ltm_client::Error::Refused { .. }) => return Err(error.into()),
            Err(error) if error.is_temporary() && attempts < ATTEMPTS => {
                note(&format!("LTM {ltm}: {}", retry_note(&error)));
                attempts += 1;
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
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
    Ok(rows.iter().any(|row| row.id == id))
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
            let advice = format!("{} exists; name another file", path.display());
            return Err(Error::Input(advice));
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
        let complete = complete.and_then(|()| fs::rename(&self.part, &self.path));
        complete.map_err(|e| failed(&self.path, &e))?;
        Ok((self.path.clone(), self.bytes))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // A complete file has another name.
        let _ = fs::remove_file(&self.part);
    }
}

fn failed(file: &Path, error: &std::io::Error) -> Error {
    Error::Input(format!("{}: {error}", file.display()))
}
