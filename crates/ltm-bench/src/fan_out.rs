//! Many subscribers: what a delivery costs.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    crowd::{Crowd, Seat},
    error::Error,
    progress::Progress,
    report::Row,
    target::{Channel, Kind, Target},
    usage::Usage,
};

/// How much is asked of the target.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// LTMs.
    #[arg(long, default_value_t = 1)]
    pub(crate) ltms: usize,
    /// Subscribers of each.
    #[arg(long, default_value_t = 1000)]
    pub(crate) subscribers: usize,
    /// Appends per second, to all LTMs together; 0 appends as fast as the deliveries are made.
    #[arg(long, default_value_t = 50)]
    pub(crate) rate: u64,
    /// For how long.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
}

/// How many appends a closed loop is ahead of the deliveries.
const AHEAD: u64 = 16;
/// Threads of subscribers: they share the machine with the target.
pub(crate) const THREADS: usize = 2;

/// Connects everybody, appends, and waits until all is delivered.
pub(crate) fn run(kind: Kind, target: &Target, load: Load) -> Result<Row, Error> {
    let mut channels = target.channels(load.ltms, &json!({"text": ""}))?;
    let seats: Vec<Seat> = channels
        .iter()
        .flat_map(|channel| std::iter::repeat_n(target.seat(channel), load.subscribers))
        .collect();
    let all = seats.len() as u64;
    let began = Instant::now();
    let progress = Progress::new(format!("fan-out, {}: connecting", kind.name()), all);
    let mut crowd = Crowd::connect(seats, THREADS, began, &|count| progress.at(count))?;
    let each = load.subscribers as u64;
    let progress = Progress::new(format!("fan-out, {}: appending", kind.name()), load.seconds);
    // What is done once, such as loading scripts, is not measured.
    let mut producer = target.producer()?;
    for channel in &mut channels {
        producer.append(channel, now(began), load.size)?;
    }
    crowd.until(all)?;
    let (first, first_bytes) = (crowd.delivered(), crowd.bytes());
    let usage = Usage::begin(target);
    let mut appended = 0;
    let limit = Duration::from_secs(load.seconds);
    while usage.seconds() < limit.as_secs_f64() {
        let channel: &mut Channel = {
            let turn = usize::try_from(appended).unwrap_or(0) % load.ltms;
            &mut channels[turn]
        };
        if load.rate > 0 {
            let due = appended as f64 / load.rate as f64;
            if let Ok(wait) = Duration::try_from_secs_f64(due - usage.seconds()) {
                std::thread::sleep(wait);
            }
        } else {
            while crowd.delivered() + AHEAD * each < first + appended * each {
                std::thread::sleep(Duration::from_micros(50));
                crowd.check()?;
            }
        }
        producer.append(channel, now(began), load.size)?;
        appended += 1;
        progress.at(usage.seconds() as u64);
        crowd.check()?;
    }
    crowd.until(first + appended * each)?;
    let seconds = usage.seconds();
    let cpu = usage.cpu(target);
    let deliveries = (appended * each) as f64;
    let bytes = (crowd.bytes() - first_bytes) as f64;
    crowd.leave()?;
    let shown = if load.rate > 0 {
        format!("{}/s", load.rate)
    } else {
        "closed loop".into()
    };
    let load = format!("{} × {}, {shown}", load.ltms, load.subscribers);
    let mut row = Row::new("fan-out", kind.name(), load)
        .with("deliveries/s", deliveries / seconds)
        .with("bytes each", bytes / deliveries)
        .with(
            "CPU µs each",
            cpu.iter().map(|(_, used)| used).sum::<f64>() / deliveries,
        );
    for (name, used) in cpu {
        row = row.with(name, used / deliveries);
    }
    Ok(row)
}

fn now(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
