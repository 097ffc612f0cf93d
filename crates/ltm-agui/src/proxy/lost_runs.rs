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
    /// Whether it is no run of a recorder, or has been ended.
    is_settled: bool,
}

/// Ends lost runs, without end. It compares two looks at an LTM, so it does not matter which time other machines have.
pub(super) async fn end_lost_runs(service: RecorderService) {
    let mut seen = HashMap::new();
    let pause = service.quiet();
    loop {
        if let Err(error) = look(&service, &mut seen).await {
            tracing::debug!(%error, "cannot look for lost runs");
        }
        sleep(pause).await;
    }
}

async fn look(service: &RecorderService, seen: &mut HashMap<LtmId, Seen>) -> Result<(), LogError> {
    let rows = active(service).await?;
    seen.retain(|id, _| rows.iter().any(|row| row.id == *id));
    for row in rows {
        let first = || Seen {
            updated_at: row.updated_at.clone(),
            since: Instant::now(),
            is_settled: false,
        };
        let known = seen.entry(row.id).or_insert_with(first);
        if known.updated_at != row.updated_at {
            *known = first();
        }
        let key = row.key.and_then(|key| LtmKey::new(row.fqn, key).ok());
        let Some(key) = key.filter(|key| !known.is_settled && !service.runs().has(key)) else {
            continue;
        };
        // Most leases are like ours: only then is it worth a look at the state.
        if known.since.elapsed() >= service.settings().lease {
            known.is_settled = end_if_lost(service, key, known.since.elapsed()).await?;
        }
    }
    Ok(())
}

/// The LTMs that are active.
async fn active(service: &RecorderService) -> Result<Vec<Row>, Error> {
    let filter = ListFilter {
        statuses: vec!["active".into()],
        ..ListFilter::default()
    };
    let (mut rows, mut before) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = service.client().list(&filter, PAGE, before).await?;
        rows.extend(page.rows.read::<Vec<Row>>()?);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(rows)
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
    let records = Recorder::new(now.state, service.settings().raw).end(&end);
    match log.append_once(&records, now.cursor).await {
        // It was not lost.
        Ok(()) | Err(LogError::Taken) => Ok(true),
        Err(error) => Err(error),
    }
}
