//! The producers: they create the LTMs and append to them, through all APIs.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use super::load::Load;
use crate::{
    error::Error,
    load::{http::Http, producer::Producer, threads},
    report::progress::Progress,
    targets::{Channel, Kind, ltm::LtmClient},
};

/// The producers of each API, each with a connection of its own.
const PER_API: usize = 4;
/// The longest sleep of a producer before it looks whether the load is over.
const LOOK: Duration = Duration::from_millis(50);

/// Creates the LTMs of a load, spread over the APIs.
pub(super) fn create(apis: &[String], gateway: &str, load: &Load) -> Result<Vec<Channel>, Error> {
    let (all, threads) = (load.ltms(), apis.len() * PER_API);
    let progress = Progress::new("scale: creating LTMs".into(), all as u64);
    let (count, created) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let creator = |number: usize| {
        let (count, created) = (&count, &created);
        move || {
            let client = LtmClient::new(&apis[number % apis.len()], gateway)?;
            let mut own = Vec::new();
            for place in (number..all).step_by(threads) {
                let ltm = client.create(&json!({"text": ""}))?;
                let channel = Channel {
                    id: ltm.id,
                    cursor: ltm.cursor,
                };
                own.push((place, channel));
                count.fetch_add(1, Ordering::Relaxed);
            }
            let mut created = created.lock().map_err(|_| Error::Panicked)?;
            created.extend(own);
            Ok(())
        }
    };
    let tasks = (0..threads).map(creator).collect();
    threads::run_all(tasks, || progress.at(count.load(Ordering::Relaxed) as u64))?;
    let mut created = created.into_inner().map_err(|_| Error::Panicked)?;
    created.sort_by_key(|(place, _)| *place);
    Ok(created.into_iter().map(|(_, channel)| channel).collect())
}

/// Appends at the rate of the load until `over`; returns the number of entries.
///
/// As behind a proxy, all appends to an LTM go to the same API.
pub(super) fn append(
    apis: &[String],
    channels: &[Channel],
    load: &Load,
    over: &(dyn Fn() -> bool + Sync),
) -> Result<u64, Error> {
    let turns: Vec<_> = apis.iter().map(|_| AtomicU64::new(0)).collect();
    let (appended, began) = (AtomicU64::new(0), Instant::now());
    let produce = |number: usize| {
        let (api, appended, turns) = (number % apis.len(), &appended, &turns);
        move || {
            let own: Vec<_> = channels.iter().skip(api).step_by(apis.len()).collect();
            let rate = own.len() as f64 * load.rate_per_ltm;
            let mut producer = Producer::new(Kind::Live, Http::connect(&apis[api])?, number);
            loop {
                let turn = turns[api].fetch_add(1, Ordering::SeqCst);
                let due = Duration::try_from_secs_f64(turn as f64 / rate).unwrap_or(Duration::MAX);
                while !over() && began.elapsed() < due {
                    std::thread::sleep(LOOK.min(due.saturating_sub(began.elapsed())));
                }
                if over() {
                    return Ok(());
                }
                let place = usize::try_from(turn).unwrap_or(0) % own.len();
                producer.append(own[place], 0, load.size)?;
                appended.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    threads::run_all((0..apis.len() * PER_API).map(produce).collect(), || {})?;
    Ok(appended.into_inner())
}
