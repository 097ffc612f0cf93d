//! The floor of the latency: `PUBLISH` on one bare connection to Redis, the message on another.

use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::latency::{Load, row};
use crate::{
    error::Error,
    load::{redis::Redis, subscribers::histogram},
    report::{Row, progress::Progress},
    targets::Target,
};

const CHANNEL: &str = "bench";

/// Publishes at the rate, and returns the distribution of the times until the messages arrive.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let address = target.redis_at.as_deref().unwrap_or_default();
    let mut subscriber = Redis::connect(address)?;
    subscriber.ask(&["SUBSCRIBE", CHANNEL])?;
    let mut publisher = Redis::connect(address)?;
    let progress = Progress::new("latency, floor".into(), load.rate * load.seconds);
    let start = Instant::now() + Duration::from_millis(100);
    let all = load.rate * load.seconds;
    let receiving = receive(subscriber, start, all);
    let fill = "x".repeat(load.size.saturating_sub(20));
    for number in 0..all {
        let due = load.due(number);
        std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
        let message = format!("{number} {} {fill}", due.as_nanos());
        publisher.ask(&["PUBLISH", CHANNEL, &message])?;
        progress.at(number);
    }
    let times = receiving.join().unwrap_or(Err(Error::Panicked))?;
    Ok(row(target, load, &times))
}

/// Receives all messages on a separate thread; each must arrive once and in order.
fn receive(
    mut subscriber: Redis,
    start: Instant,
    all: u64,
) -> JoinHandle<Result<Histogram<u64>, Error>> {
    std::thread::spawn(move || {
        let mut times = histogram();
        for number in 0..all {
            let message = subscriber.answer()?;
            let mut words = message.last().map_or("", String::as_str).split(' ');
            let mut next = || words.next().and_then(|word| word.parse::<u64>().ok());
            let (Some(got), Some(due)) = (next(), next()) else {
                return Err(Error::Delivery(format!("received {message:?}")));
            };
            if got != number {
                return Err(Error::Delivery(format!(
                    "received {got} instead of {number}"
                )));
            }
            let now = start.elapsed().as_nanos();
            times.saturating_record(u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(due));
        }
        Ok(times)
    })
}
