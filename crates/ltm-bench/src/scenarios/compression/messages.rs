//! Recorded histories for subscribers that accept compressed messages, compared with the same messages uncompressed.
//!
//! Both get each history in turns, so that other work of the machine affects both.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Cost, RECORDINGS, SERVICES, snapshots};
use crate::{
    error::Error,
    load::{
        handshake::Subscription,
        subscribers::{Subscribers, THREADS},
    },
    report::{Row, progress::Progress},
    targets::{Target, usage::Usage},
};

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
    /// A recorded history: a document as `ltm export` writes it. Give the option several times for several histories
    /// [default: four recordings]
    #[arg(long = "history", value_name = "FILE")]
    pub(crate) histories: Vec<PathBuf>,
    /// Subscribers that accept compressed messages, and as many that do not.
    #[arg(long, default_value_t = 1000)]
    pub(crate) subscribers: usize,
    /// Appends per second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
}

/// Appends each history to an LTM whose subscribers accept compressed messages, and to one whose subscribers do not.
pub(crate) fn run(target: &Target, load: &Load) -> Result<Row, Error> {
    let histories = load.histories()?;
    let progress = Progress::new("compression".into(), histories.len() as u64);
    let (mut plain, mut compressed) = (Cost::default(), Cost::default());
    for (done, history) in histories.iter().enumerate() {
        plain.add(&measure(target, load, history, false)?);
        compressed.add(&measure(target, load, history, true)?);
        progress.at(done as u64 + 1);
    }
    let count: usize = histories.iter().map(Vec::len).sum();
    let shown = format!("1 × {}, {count} recorded", load.subscribers);
    Ok(compressed.beside(&plain, Row::new("compression", target.kind, shown)))
}

fn measure(
    target: &Target,
    load: &Load,
    history: &[Value],
    compressed: bool,
) -> Result<Cost, Error> {
    let channels = target.channels(1, &json!({}))?;
    let subscription = Subscription {
        compressed,
        ..target.subscription(&channels[0])
    };
    let subscriptions = vec![subscription; load.subscribers];
    let began = Instant::now();
    let subscribers = Subscribers::connect(subscriptions, THREADS, began, &|_| {})?;
    let mut producer = target.producer()?;
    let usage = Usage::begin(target);
    for (number, snapshot) in history.iter().enumerate() {
        let due = number as f64 / f64::from(load.rate);
        let wait = Duration::try_from_secs_f64(due - usage.seconds());
        std::thread::sleep(wait.unwrap_or_default());
        producer.snapshot(&channels[0], snapshot.to_string().as_bytes())?;
    }
    let deliveries = (history.len() * load.subscribers) as u64;
    subscribers.until(deliveries)?;
    let cost = Cost {
        deliveries: deliveries as f64,
        bytes: subscribers.bytes() as f64,
        cpu: usage.of(target, &SERVICES),
    };
    subscribers.leave()?;
    target.check(&channels)?;
    Ok(cost)
}

impl Load {
    /// The snapshots of each history, as an engine sends them.
    fn histories(&self) -> Result<Vec<Vec<Value>>, Error> {
        if self.histories.is_empty() {
            return RECORDINGS.into_iter().map(snapshots).collect();
        }
        let files = self.histories.iter();
        files
            .map(|file| snapshots(&fs::read_to_string(file)?))
            .collect()
    }
}
