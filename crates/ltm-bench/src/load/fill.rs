//! Fills logs before a measurement.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{producer::body, threads};
use crate::{
    error::Error,
    report::progress::Progress,
    targets::{Channel, Target},
};

/// The connections that fill a log.
const FILLERS: usize = 4;

/// Appends `count` entries to each channel, over several connections.
pub(crate) fn fill(
    target: &Target,
    channels: &[Channel],
    count: u64,
    size: usize,
) -> Result<(), Error> {
    let all = count * channels.len() as u64;
    let what = format!("{}: filling", target.kind.name());
    let (progress, next) = (Progress::new(what, all), AtomicU64::new(0));
    let filler = || {
        let next = &next;
        move || {
            let (live, mut producer) = (target.client()?, target.producer()?);
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= all {
                    return Ok(());
                }
                let turn = usize::try_from(number).unwrap_or(0) % channels.len();
                match &live {
                    Some(live) => live.append(channels[turn].id, &body(0, size))?,
                    None => producer.append(&channels[turn], 0, size)?,
                }
            }
        }
    };
    let tasks = (0..FILLERS).map(|_| filler()).collect();
    threads::run_all(tasks, || progress.at(next.load(Ordering::Relaxed).min(all)))
}
