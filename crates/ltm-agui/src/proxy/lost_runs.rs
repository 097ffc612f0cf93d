//! Runs whose recorder has died. Nobody reads their agents any more, so somebody must say that they have ended.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use ltm_client::{Error, ListFilter, LtmId, LtmKey};
use serde::Deserialize;
use tokio::time::sleep;

use super::{recorder_service::RecorderService, source::failed, thread_log::LogError};
use crate::record::{Recorder, Run};

/// The LTMs in one page of the list, and the pages in one look.
const PAGE: usize = 100;
const PAGES: usize = 10;

/// A row of the list.
#[derive(Deserialize)]
struct Row {
    id: LtmId,
    fqn: String,
    key: Option<String>,
    updated_at: String,
}

/// An active LTM as it was seen first.
struct Seen {
    updated_at: String,
    since: Instant,
    /// The walk through the list that has seen it last.
    walk: u64,
    /// Whether it is no run of a recorder, or has been ended.
    is_settled: bool,
}

/// What the looks have found so far.
#[derive(Default)]
struct Looks {
    seen: HashMap<LtmId, Seen>,
    /// Where the next look goes on in the list; `None`: at its beginning.
    before: Option<LtmId>,
    /// How often the looks have been through the whole list.
    walk: u64,
}

/// Ends lost runs, without end. It compares two looks at an LTM, so it does not matter which time other machines have.
pub(super) async fn end_lost_runs(service: RecorderService) {
    let mut looks = Looks::default();
    let pause = service.quiet();
    loop {
        if let Err(error) = looks.look(&service).await {
            tracing::debug!(%error, "cannot look for lost runs");
            // Who could not write either is not lost.
            looks = Looks::default();
        }
        sleep(pause).await;
    }
}

impl Looks {
    /// Looks at the active LTMs that come next in the list.
    async fn look(&mut self, service: &RecorderService) -> Result<(), Error> {
        let filter = ListFilter {
            statuses: vec!["active".into()],
            ..ListFilter::default()
        };
        for _ in 0..PAGES {
            let page = service.client().list(&filter, PAGE, self.before).await?;
            for row in page.rows.read::<Vec<Row>>()? {
                self.row(service, row).await;
            }
            self.before = page.next;
            if self.before.is_none() {
                let walk = self.walk;
                self.seen.retain(|_, seen| seen.walk == walk);
                self.walk += 1;
                break;
            }
        }
        Ok(())
    }

    async fn row(&mut self, service: &RecorderService, row: Row) {
        let first = || Seen {
            updated_at: row.updated_at.clone(),
            since: Instant::now(),
            walk: self.walk,
            is_settled: false,
        };
        let known = self.seen.entry(row.id).or_insert_with(first);
        if known.updated_at != row.updated_at {
            *known = first();
        }
        known.walk = self.walk;
        let key = row.key.and_then(|key| LtmKey::new(row.fqn, key).ok());
        let Some(key) = key.filter(|key| !known.is_settled && !service.runs().has(key)) else {
            return;
        };
        // Most leases are like ours: only then is it worth a look at the state.
        let silent = known.since.elapsed();
        if silent < service.settings().lease {
            return;
        }
        known.is_settled = match end_if_lost(service, key.clone(), silent).await {
            Ok(is_settled) => is_settled,
            Err(error) => {
                tracing::warn!(ltm = %key, %error, "cannot end a run that may be lost");
                error.is_permanent()
            }
        };
    }
}

/// Ends the run of an LTM that had no entry for this time, if its lease is over. Whether there is nothing left to do.
async fn end_if_lost(
    service: &RecorderService,
    key: LtmKey,
    silent: Duration,
) -> Result<bool, LogError> {
    let log = service.log(key, None)?;
    let now = log.state().await?.value;
    let lease = Run::of_state(&now.state).and_then(|run| run.lease);
    let Some(lease) = lease.filter(|_| Run::is_active(&now.state)) else {
        return Ok(true);
    };
    if silent < Duration::from_secs(lease) {
        return Ok(false);
    }
    tracing::warn!(ltm = %log.key(), "a run is lost; ending it");
    let message = "the process that recorded this run has ended; what it had recorded is kept";
    let end = failed("recorder-lost", message.into());
    let mut recorder = Recorder::new(now.state, service.recording_options());
    let records = recorder.end(&end);
    let mut ended = log.append_once(&records, now.cursor).await;
    if let Err(LogError::Client(error)) = &ended
        && !error.is_temporary()
    {
        tracing::warn!(ltm = %log.key(), %error, "recording only that the run has ended");
        let now = log.state().await?.value;
        let records = Recorder::new(now.state, service.recording_options()).end_only(&end);
        ended = log.append_once(&records, now.cursor).await;
    }
    match ended {
        // It was not lost.
        Ok(()) | Err(LogError::Taken) => Ok(true),
        Err(error) => Err(error),
    }
}
