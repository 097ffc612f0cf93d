//! The memory of a connection after a burst of messages.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    error::Error,
    load::{handshake::Subscription, subscribers::Subscribers, subscribers::THREADS, threads},
    report::{MEMORY, Row, progress::Progress},
    targets::{
        Channel, Target,
        usage::{Peak, kib_each},
    },
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Subscribers in total.
    #[arg(long, default_value_t = 2000)]
    pub(crate) subscribers: usize,
    /// LTMs that the subscribers follow.
    #[arg(long, default_value_t = 10)]
    pub(crate) ltms: usize,
    /// Messages to each subscriber.
    #[arg(long, default_value_t = 500)]
    pub(crate) messages: u64,
    /// Bytes per message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
    /// Seconds of silence after the burst.
    #[arg(long, default_value_t = 60)]
    pub(crate) settle: u64,
}

/// How far the appends to one LTM may be ahead of the deliveries: a burst, but no more than the peer
/// buffers.
const AHEAD: u64 = 256;

/// Reads the memory of the process that holds the connections: before, at the peak, and afterwards.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(load.ltms, &json!({"text": ""}))?;
    let subscriptions: Vec<Subscription> = (0..load.subscribers)
        .map(|number| target.subscription(&channels[number % load.ltms]))
        .collect();
    let before = target.memory();
    let name = target.kind.name();
    let what = format!("burst, {name}: connecting");
    let progress = Progress::new(what, load.subscribers as u64);
    let began = Instant::now();
    let subscribers =
        Subscribers::connect(subscriptions, THREADS, began, &|count| progress.at(count))?;
    let idle = target.memory();
    let peak = Peak::begin(target.holder());
    let all = load.subscribers as u64 * load.messages;
    let progress = Progress::new(format!("burst, {name}"), all);
    let tasks = channels.iter().map(|channel| {
        let subscribers = &subscribers;
        move || append(target, channel, subscribers, load)
    });
    threads::run_all(tasks.collect(), || progress.at(subscribers.delivered()))?;
    subscribers.until(all)?;
    let peak = idle + peak.grown();
    let progress = Progress::new(format!("burst, {name}: settling"), load.settle);
    for second in 0..load.settle {
        progress.at(second);
        subscribers.check()?;
        std::thread::sleep(Duration::from_secs(1));
    }
    let settled = target.memory();
    let each = |bytes: f64| kib_each(before, bytes, load.subscribers);
    let shown = format!("{} × {} messages", load.subscribers, load.messages);
    Ok(Row::new("burst", target.kind, shown)
        .with("KiB each, idle", each(idle))
        .with("KiB each, peak", each(peak))
        .with(MEMORY, each(settled))
        .with("settled / idle", each(settled) / each(idle))
        .doubled(target.kind, subscribers.doubled()))
}

/// Appends one LTM's share of the burst.
fn append(
    target: &Target,
    channel: &Channel,
    subscribers: &Subscribers,
    load: Load,
) -> Result<(), Error> {
    let mut producer = target.producer()?;
    for number in 0..load.messages {
        // All LTMs proceed at about the same speed.
        while number > subscribers.delivered() / load.subscribers as u64 + AHEAD {
            std::thread::sleep(Duration::from_micros(100));
            subscribers.check()?;
        }
        producer.append(channel, 0, load.size)?;
    }
    Ok(())
}
