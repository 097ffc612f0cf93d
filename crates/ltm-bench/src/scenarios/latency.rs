//! The time from an append to its delivery, at a fixed rate that does not wait for answers.
//!
//! Each append has a due time, whether the ones before it are answered or not, and its latency counts from
//! that time. So an append that waits behind a slow one counts, too (no coordinated omission; see Gil Tene,
//! "How NOT to Measure Latency").

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::json;

use crate::{
    error::Error,
    load::{fill::fill, subscribers::Subscribers, subscribers::THREADS, threads},
    report::{Row, progress::Progress},
    targets::{Channel, Target},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// LTMs, each with one subscriber and one producer.
    #[arg(long, default_value_t = 16)]
    pub(crate) ltms: usize,
    /// Appends per second to all LTMs together.
    #[arg(long, default_value_t = 1000)]
    pub(crate) rate: u64,
    /// The duration in seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Bytes per message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
}

/// Appends at the rate, and returns the distribution of the times until delivery.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(load.ltms, &json!({"text": ""}))?;
    let subscriptions = channels
        .iter()
        .map(|channel| target.subscription(channel))
        .collect();
    let began = Instant::now();
    let subscribers = Subscribers::connect(subscriptions, THREADS, began, &|_| {})?;
    // One-time work, such as loading scripts, is not measured.
    let first = channels.len() as u64;
    fill(target, &channels, 1, load.size)?;
    subscribers.until(first)?;
    let what = format!("latency, {}", target.kind.name());
    let progress = Progress::new(what, load.rate * load.seconds);
    let sent = AtomicU64::new(0);
    let start = Instant::now() + Duration::from_millis(100);
    let tasks = channels.iter().enumerate();
    let tasks = tasks.map(|(place, channel)| {
        let sent = &sent;
        move || produce(target, channel, place, load, (began, start), sent)
    });
    threads::run_all(tasks.collect(), || {
        progress.at(sent.load(Ordering::Relaxed))
    })?;
    subscribers.until(first + sent.load(Ordering::SeqCst))?;
    let doubled = subscribers.doubled();
    let times = subscribers.leave()?;
    Ok(row(target, load, &times).doubled(target.kind, doubled))
}

/// The row of a distribution of times in nanoseconds.
pub(crate) fn row(target: &Target, load: Load, times: &Histogram<u64>) -> Row {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e6;
    let shown = format!("{} LTMs, {}/s", load.ltms, load.rate);
    Row::new("latency", target.kind, shown)
        .with("p50 ms", at(0.5))
        .with("p99 ms", at(0.99))
        .with("p99.9 ms", at(0.999))
        .with("worst ms", times.max() as f64 / 1e6)
}

impl Load {
    /// The due time of an append after the start.
    pub(crate) fn due(self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate as f64)
    }
}

/// Appends at each turn of this producer. The producers take turns.
fn produce(
    target: &Target,
    channel: &Channel,
    place: usize,
    load: Load,
    (began, start): (Instant, Instant),
    sent: &AtomicU64,
) -> Result<(), Error> {
    let mut producer = target.producer()?;
    for number in (place as u64..load.rate * load.seconds).step_by(load.ltms) {
        let due = start + load.due(number);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let at = due.duration_since(began).as_nanos();
        producer.append(channel, u64::try_from(at).unwrap_or(u64::MAX), load.size)?;
        sent.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}
