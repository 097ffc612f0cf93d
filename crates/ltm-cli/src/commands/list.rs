//! `ltm list`.

use std::{collections::HashMap, num::NonZeroUsize, time::Duration};

use ltm_client::{Client, ListFilter, RawAnswer};
use ltm_types::{LtmId, canonical_time};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::time::sleep;

use crate::{
    error::Error,
    terminal::{Output, Screen, reader_gone, retry_note},
    text::printable,
};

/// The arguments of `ltm list`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// The most LTMs to list
    #[arg(long, value_name = "N", default_value = "20")]
    limit: NonZeroUsize,
    /// List all of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Keep the list up to date until Ctrl-C
    #[arg(long, conflicts_with = "all")]
    watch: bool,
}

/// Which LTMs to list.
#[derive(clap::Args, Debug)]
pub(crate) struct FilterArgs {
    /// Only LTMs of the playground; without it, only the others
    #[arg(long)]
    playground: bool,
    /// Only LTMs with one of these statuses, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "STATUS")]
    status: Vec<String>,
    /// Only LTMs of this class, or of all classes under a prefix: 'app.*'
    #[arg(long)]
    fqn: Option<String>,
    /// Only LTMs whose name has words that begin with these
    #[arg(long, value_name = "WORDS")]
    name: Option<String>,
    /// Only LTMs created at this time or later: 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = canonical_time)]
    created_after: Option<String>,
    /// Only LTMs created before this time
    #[arg(long, value_name = "TIME", value_parser = canonical_time)]
    created_before: Option<String>,
    /// Only LTMs whose last entry was written at this time or later
    #[arg(long, value_name = "TIME", value_parser = canonical_time)]
    updated_after: Option<String>,
    /// Only LTMs whose last entry was written before this time
    #[arg(long, value_name = "TIME", value_parser = canonical_time)]
    updated_before: Option<String>,
    /// Only LTMs with a recorded error; with =false only those without
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    has_errors: Option<bool>,
}

impl FilterArgs {
    pub(crate) fn filter(&self) -> ListFilter {
        ListFilter {
            playground: self.playground,
            statuses: self.status.clone(),
            fqn: self.fqn.clone(),
            name: self.name.clone(),
            created_after: self.created_after.clone(),
            created_before: self.created_before.clone(),
            updated_after: self.updated_after.clone(),
            updated_before: self.updated_before.clone(),
            has_errors: self.has_errors,
        }
    }
}

/// The most rows of one page of the API.
const PAGE: usize = 1000;
/// The pause between two looks at a list that is watched.
const PAUSE: Duration = Duration::from_secs(1);
/// What to say of a list that may lack LTMs.
pub(crate) const INCOMPLETE: &str =
    "the list may lack LTMs: a server of Redis is down, or the API has not read them all yet";

#[derive(Deserialize)]
struct Row {
    id: LtmId,
    name: String,
    fqn: String,
    #[serde(default)]
    key: Option<String>,
    status: Option<String>,
    snapshots_count: u64,
    updated_at: String,
}

impl Row {
    /// What the list shows of it, column by column.
    fn shown(&self, output: Output) -> [String; 7] {
        [
            self.id.to_string(),
            printable(&self.name),
            printable(&self.fqn),
            printable(self.key.as_deref().unwrap_or_default()),
            printable(self.status.as_deref().unwrap_or_default()),
            self.snapshots_count.to_string(),
            output.time(&self.updated_at),
        ]
    }
}

/// Prints LTMs, newest first: JSON page by page, a table at the end.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let filter = args.filter.filter();
    let limit = args.limit.get();
    if args.watch {
        return watch(client, &filter, limit, output).await;
    }
    let left = if args.all { usize::MAX } else { limit };
    let mut rows = Vec::new();
    let each = |page: &RawAnswer, row: &str| {
        if output.json() {
            return output.json_line(row);
        }
        rows.push(page.part(row)?);
        Ok(())
    };
    if read(client, &filter, left, each).await? {
        output.note(INCOMPLETE);
    }
    if output.json() {
        return Ok(());
    }
    if rows.is_empty() {
        output.note(match filter == ListFilter::default() {
            true => "no LTM found; create one with `ltm create app.Agent`",
            false => "no LTM matches",
        });
        return Ok(());
    }
    output.line(&table(&rows, output))
}

/// Reads the first `left` rows of a list, page by page. Returns whether the list may lack LTMs.
pub(crate) async fn read(
    client: &Client,
    filter: &ListFilter,
    mut left: usize,
    mut each: impl FnMut(&RawAnswer, &str) -> Result<(), Error>,
) -> Result<bool, Error> {
    let (mut before, mut is_incomplete) = (None, false);
    loop {
        let page = client.list(filter, left.min(PAGE), before).await?;
        is_incomplete |= page.is_incomplete;
        let texts: Vec<&RawValue> = page.rows.read()?;
        left = left.saturating_sub(texts.len());
        for row in texts {
            each(&page.rows, row.get())?;
        }
        before = page.next;
        if before.is_none() || left == 0 {
            break;
        }
    }
    Ok(is_incomplete)
}

/// Shows the list until Ctrl-C: on a terminal as a table in place of the one before, elsewhere each row that changed.
async fn watch(
    client: &Client,
    filter: &ListFilter,
    limit: usize,
    output: Output,
) -> Result<(), Error> {
    let mut watch = Watch {
        client,
        filter,
        limit,
        failures: 0,
    };
    // If the first look fails, the address is probably wrong.
    let first = watch.look().await?;
    if output.redraws() {
        return Screen::run(async |screen| watch.draw(screen, first, output).await).await;
    }
    tokio::select! {
        outcome = watch.print(first, output) => outcome,
        gone = reader_gone() => Err(gone),
    }
}

/// What one look at the list finds: each row, also as its JSON, and whether the list may lack LTMs.
type Look = (Vec<(Row, String)>, bool);

/// A list that is watched.
struct Watch<'a> {
    client: &'a Client,
    filter: &'a ListFilter,
    limit: usize,
    /// The looks that failed since the last one that did not.
    failures: u32,
}

impl Watch<'_> {
    async fn look(&self) -> Result<Look, Error> {
        let mut rows = Vec::new();
        let read = read(self.client, self.filter, self.limit, |page, text| {
            rows.push((page.part::<Row>(text)?, text.to_owned()));
            Ok(())
        });
        read.await.map(|is_incomplete| (rows, is_incomplete))
    }

    /// Waits, then looks again until that succeeds. `failed` gets each failure, and how many came before it.
    async fn next(
        &mut self,
        mut failed: impl FnMut(&ltm_client::Error, u32) -> Result<(), Error>,
    ) -> Result<Look, Error> {
        let mut pause = PAUSE;
        loop {
            sleep(pause).await;
            match self.look().await {
                Err(Error::Client(error)) if error.is_temporary() => {
                    failed(&error, self.failures)?;
                    let backoff = self.client.options().connect_backoff;
                    pause = PAUSE.max(backoff.pause(self.failures));
                    self.failures = self.failures.saturating_add(1);
                }
                outcome => {
                    self.failures = 0;
                    return outcome;
                }
            }
        }
    }

    async fn draw(
        &mut self,
        screen: &mut Screen,
        first: Look,
        output: Output,
    ) -> Result<(), Error> {
        let (mut rows, mut is_incomplete) = first;
        loop {
            screen.show(table(rows.iter().map(|(row, _)| row), output))?;
            if is_incomplete {
                screen.note(INCOMPLETE)?;
            }
            let noted = self.next(|error, _| screen.note(&retry_note(error)));
            (rows, is_incomplete) = noted.await?;
        }
    }

    async fn print(&mut self, first: Look, output: Output) -> Result<(), Error> {
        let mut known: HashMap<LtmId, String> = HashMap::new();
        let (mut rows, mut is_incomplete) = first;
        loop {
            if is_incomplete {
                output.note(INCOMPLETE);
            }
            let latest = rows.iter().map(|(row, text)| (row.id, text.clone()));
            let latest: HashMap<LtmId, String> = latest.collect();
            print_change(&rows, &known, &latest, output)?;
            known = latest;
            let noted = self.next(|error, failures| {
                if failures == 0 {
                    output.note_retry(error);
                }
                Ok(())
            });
            (rows, is_incomplete) = noted.await?;
        }
    }
}

fn print_change(
    rows: &[(Row, String)],
    known: &HashMap<LtmId, String>,
    latest: &HashMap<LtmId, String>,
    output: Output,
) -> Result<(), Error> {
    for id in known.keys().filter(|id| !latest.contains_key(id)) {
        if output.json() {
            output.line(&json!({"id": id, "removed": true}).to_string())?;
        } else {
            output.line(&format!("{id}  left the list"))?;
        }
    }
    for (row, text) in rows.iter().rev() {
        if known.get(&row.id) == Some(text) {
            continue;
        }
        if output.json() {
            output.json_line(text)?;
        } else {
            output.line(&row.shown(output).join("  "))?;
        }
    }
    Ok(())
}

fn table<'a>(rows: impl IntoIterator<Item = &'a Row>, output: Output) -> String {
    let mut table = output.table(&[
        "id",
        "name",
        "class",
        "key",
        "status",
        "snapshots",
        "updated",
    ]);
    for row in rows {
        table.add_row(row.shown(output));
    }
    output.rows(table, &[1, 2, 3])
}
