//! `ltm verify`: verifies the logs of LTMs.

use indicatif::ProgressBar;
use ltm_store::{ListFilter, Listing, Shown, Store, StoreError, Verdict};
use ltm_types::{LtmId, LtmRef};
use serde_json::json;

use super::redis_args::RedisArgs;
use crate::{
    error::Error,
    terminal::{Accent, Output},
    text::{count_of, printable},
};

/// The arguments of `ltm verify`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTMs: their ids, or class and key as app.Agent/3f2c
    #[arg(value_name = "LTM", required_unless_present = "all")]
    ltms: Vec<LtmRef>,
    /// Verify all listed LTMs
    #[arg(long, conflicts_with = "ltms")]
    all: bool,
    /// The Redis to read.
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
}

/// The LTMs of one page of the list.
const PAGE: usize = 1000;

/// Verifies the logs that the arguments name; fails if one has a fault.
pub(crate) async fn run(args: &Args, output: Output) -> Result<(), Error> {
    let redis = args.redis.open(output)?;
    let database = redis.shown_database();
    let store = Store::new(redis);
    let mut verifier = Verifier {
        store: &store,
        database,
        output,
        verified: 0,
        faulty: 0,
    };
    if !args.all {
        for ltm in &args.ltms {
            let id = match ltm {
                LtmRef::Id(id) => *id,
                LtmRef::Key(key) => store.id_of(key).await?,
            };
            verifier.verify(id).await?;
        }
        return verifier.end();
    }
    for playground in [false, true] {
        let mut before = None;
        loop {
            let listing = Listing {
                playground,
                filter: &ListFilter::default(),
                limit: PAGE,
                before,
            };
            let page = store.list(listing, &Shown::All).await?;
            for row in page.rows {
                match verifier.verify(row.id).await {
                    // The LTM was deleted after it was listed.
                    Err(Error::Store(StoreError::Unknown(_) | StoreError::Deleted { .. })) => {}
                    outcome => outcome?,
                }
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
    }
    verifier.end()
}

struct Verifier<'a> {
    store: &'a Store,
    /// Which Redis it is.
    database: String,
    output: Output,
    verified: usize,
    faulty: usize,
}

impl Verifier<'_> {
    async fn verify(&mut self, id: LtmId) -> Result<(), Error> {
        let bar = ProgressBar::new_spinner();
        let progress = |seq| bar.set_message(format!("LTM {id}: entry {seq}"));
        let verdict = self.store.verify(id, progress).await;
        bar.finish_and_clear();
        let verdict = verdict?;
        self.verified += 1;
        self.faulty += usize::from(!verdict.faults.is_empty());
        self.print(id, &verdict)
    }

    fn print(&self, id: LtmId, verdict: &Verdict) -> Result<(), Error> {
        let Verdict {
            cursor,
            entries,
            snapshots_count,
            faults,
        } = verdict;
        if self.output.json() {
            let line = json!({"id": id, "cursor": cursor, "entries": entries,
                "snapshots_count": snapshots_count, "faults": faults});
            return self.output.json_line(&line.to_string());
        }
        if faults.is_empty() {
            return self.output.line(&format!(
                "LTM {id}: {} verified, {}, cursor {cursor}",
                count_of(*entries, "entry"),
                count_of(*snapshots_count, "snapshot")
            ));
        }
        let wrong = self.output.accent(Accent::Alert, "wrong");
        for fault in faults {
            self.output
                .line(&format!("LTM {id}: {wrong}: {}", printable(fault)))?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        let (logs, database) = (count_of(self.verified, "log"), &self.database);
        match self.faulty {
            0 => {
                self.output.note(&format!("{logs} verified, in {database}"));
                Ok(())
            }
            faulty => Err(Error::Ended(format!(
                "{faulty} of {logs} in {database} {} faults",
                if faulty == 1 { "has" } else { "have" }
            ))),
        }
    }
}
