//! How long appends and health checks take, alone and while something else goes on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::json;

use crate::{error::Error, load::subscribers::histogram, targets::Target};

/// The pause between two of the same kind.
const PAUSE: Duration = Duration::from_millis(5);

/// The 99th percentiles, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub(super) append: f64,
    pub(super) health: f64,
}

/// Appends to an LTM of its own and asks for `/healthz` for this time, while `work` is called over and over.
pub(super) fn waits(
    target: &Target,
    time: Duration,
    work: impl Fn() -> Result<(), Error>,
) -> Result<Waits, Error> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampling = scope.spawn(|| sample(target, &is_over));
        let began = Instant::now();
        let mut worked = Ok(());
        while worked.is_ok() && began.elapsed() < time {
            worked = work();
        }
        is_over.store(true, Ordering::SeqCst);
        // The message of a panic has been printed.
        let waits = sampling.join().unwrap_or(Err(Error::Panicked));
        worked.and(waits)
    })
}

fn sample(target: &Target, is_over: &AtomicBool) -> Result<Waits, Error> {
    let channel = &target.channels(1, &json!({"text": ""}))?[0];
    let (mut producer, mut http) = (target.producer()?, target.http()?);
    let (mut appends, mut health) = (histogram(), histogram());
    while !is_over.load(Ordering::SeqCst) {
        timed(&mut appends, || producer.append(channel, 0, 100))?;
        timed(&mut health, || {
            http.get("/healthz", &mut |_| {}).map(|_| ())
        })?;
        std::thread::sleep(PAUSE);
    }
    let p99 = |times: &Histogram<u64>| times.value_at_quantile(0.99) as f64 / 1e6;
    Ok(Waits {
        append: p99(&appends),
        health: p99(&health),
    })
}

fn timed(
    times: &mut Histogram<u64>,
    call: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let began = Instant::now();
    call()?;
    let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    times.saturating_record(nanos);
    Ok(())
}
