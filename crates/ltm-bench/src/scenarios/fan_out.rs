//! Many subscribers: the cost of a delivery.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    error::Error,
    load::{
        handshake::Subscription,
        producer::Producer,
        subscribers::{Subscribers, THREADS},
        threads,
    },
    report::{Row, progress::Progress},
    targets::{Channel, Target, usage::Usage},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// LTMs.
    #[arg(long, default_value_t = 1)]
    pub(crate) ltms: usize,
    /// Subscribers per LTM.
    #[arg(long, default_value_t = 1000)]
    pub(crate) subscribers: usize,
    /// Appends per second to all LTMs together; 0 appends as fast as the target delivers.
    #[arg(long, default_value_t = 50)]
    pub(crate) rate: u64,
    /// The duration in seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Producers, each with a connection of its own.
    #[arg(long, default_value_t = 4)]
    pub(crate) producers: usize,
    /// Bytes per message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
}

/// How many appends a closed loop may be ahead of the deliveries.
const AHEAD: u64 = 16;

/// Connects all subscribers, appends, and waits for all deliveries.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(load.ltms, &json!({"text": ""}))?;
    let subscriptions: Vec<Subscription> = channels
        .iter()
        .flat_map(|channel| std::iter::repeat_n(target.subscription(channel), load.subscribers))
        .collect();
    let all = subscriptions.len() as u64;
    let began = Instant::now();
    let name = target.kind.name();
    let progress = Progress::new(format!("fan-out, {name}: connecting"), all);
    let subscribers =
        Subscribers::connect(subscriptions, THREADS, began, &|count| progress.at(count))?;
    // One-time work, such as loading scripts, is not measured.
    let mut producer = target.producer()?;
    for channel in &channels {
        producer.append(channel, now(began), load.size)?;
    }
    subscribers.until(all)?;
    let (first, first_bytes) = (subscribers.delivered(), subscribers.bytes());
    let producers = (0..load.producers).map(|_| target.producer());
    let producers = producers.collect::<Result<Vec<_>, Error>>()?;
    let usage = Usage::begin(target);
    let course = Course {
        subscribers: &subscribers,
        channels: &channels,
        load,
        began,
        usage: &usage,
        first,
        turns: AtomicU64::new(0),
        appended: AtomicU64::new(0),
    };
    let deliveries = course.run(producers)?;
    let (seconds, cpu) = (usage.seconds(), usage.cpu(target));
    let deliveries = deliveries as f64;
    let bytes = (subscribers.bytes() - first_bytes) as f64;
    let row = Row::new("fan-out", target.kind, load.shown())
        .with("deliveries/s", deliveries / seconds)
        .with("bytes each", bytes / deliveries)
        .costs(&cpu, deliveries);
    let doubled = subscribers.doubled();
    subscribers.leave()?;
    target.check(&channels)?;
    Ok(row.doubled(target.kind, doubled))
}

impl Load {
    fn shown(self) -> String {
        let pace = match self.rate {
            0 => "closed loop".into(),
            rate => format!("{rate}/s"),
        };
        format!("{} × {}, {pace}", self.ltms, self.subscribers)
    }
}

/// The data that the producers of one run share.
struct Course<'a> {
    subscribers: &'a Subscribers,
    channels: &'a [Channel],
    load: Load,
    began: Instant,
    usage: &'a Usage,
    /// The deliveries before the run.
    first: u64,
    turns: AtomicU64,
    appended: AtomicU64,
}

impl Course<'_> {
    /// Lets the producers append, waits for all deliveries, and returns their number.
    fn run(&self, producers: Vec<Producer>) -> Result<u64, Error> {
        let tasks = producers.into_iter();
        let tasks = tasks.map(|producer| move || self.produce(producer));
        let progress = Progress::new("fan-out: appending".into(), self.load.seconds);
        threads::run_all(tasks.collect(), || progress.at(self.usage.seconds() as u64))?;
        if self.load.rate > 0 {
            // The run includes the interval after the last append.
            let rest = self.load.seconds as f64 - self.usage.seconds();
            std::thread::sleep(Duration::try_from_secs_f64(rest).unwrap_or_default());
        }
        let deliveries = self.appended.load(Ordering::SeqCst) * self.load.subscribers as u64;
        self.subscribers.until(self.first + deliveries)?;
        Ok(deliveries)
    }

    /// Appends at each turn of this producer, until the time is over.
    fn produce(&self, mut producer: Producer) -> Result<(), Error> {
        loop {
            let number = self.turns.fetch_add(1, Ordering::SeqCst);
            let due = match self.load.rate {
                0 => self.allowed(number)?,
                rate => self.due(number as f64 / rate as f64),
            };
            if !due {
                return Ok(());
            }
            let turn = usize::try_from(number).unwrap_or(0) % self.channels.len();
            producer.append(&self.channels[turn], now(self.began), self.load.size)?;
            self.appended.fetch_add(1, Ordering::SeqCst);
            self.subscribers.check()?;
        }
    }

    /// Waits for a second of the run; returns whether the run continues then.
    fn due(&self, second: f64) -> bool {
        if second >= self.load.seconds as f64 || self.is_over() {
            return false;
        }
        if let Ok(wait) = Duration::try_from_secs_f64(second - self.usage.seconds()) {
            std::thread::sleep(wait);
        }
        true
    }

    /// Waits until the deliveries have caught up; returns whether the run continues then.
    fn allowed(&self, number: u64) -> Result<bool, Error> {
        let each = self.load.subscribers as u64;
        while self.subscribers.delivered() + AHEAD * each < self.first + number * each {
            std::thread::sleep(Duration::from_micros(50));
            self.subscribers.check()?;
            if self.is_over() {
                return Ok(false);
            }
        }
        Ok(!self.is_over())
    }

    fn is_over(&self) -> bool {
        self.usage.seconds() >= self.load.seconds as f64
    }
}

/// The nanoseconds since `began`.
pub(crate) fn now(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
