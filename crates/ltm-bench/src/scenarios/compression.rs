//! Recorded histories for subscribers that accept compressed messages, compared with the same messages uncompressed.
//!
//! Both get each history in turns, so that other work of the machine affects both.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

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

/// The histories by default.
const RECORDINGS: [&str; 4] = [
    include_str!("../../../../tests/data/lists.json"),
    include_str!("../../../../tests/data/patch_ops.json"),
    include_str!("../../../../tests/data/tutorial.json"),
    include_str!("../../../../tests/data/type_changes.json"),
];
/// The fields of a snapshot that an engine sends.
const SENT: [&str; 5] = [
    "reason",
    "item",
    "patch",
    "execute_queue",
    "transitions_queue",
];
/// The processes whose CPU time counts.
const SERVICES: [&str; 3] = ["ltm-api", "ltm-gateway", "redis"];

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
    Ok(Row::new("compression", target.kind, shown)
        .with("bytes each", plain.bytes / plain.deliveries)
        .with("compressed", compressed.bytes / compressed.deliveries)
        .with("× bytes", compressed.bytes / plain.bytes)
        .with("CPU µs each", plain.cpu / plain.deliveries)
        .with(
            "compressed CPU µs each",
            compressed.cpu / compressed.deliveries,
        )
        .with("× CPU", compressed.cpu / plain.cpu))
}

/// What deliveries cost.
#[derive(Default)]
struct Cost {
    deliveries: f64,
    bytes: f64,
    /// Microseconds.
    cpu: f64,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.cpu += other.cpu;
    }
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

/// The snapshots of a document, or of a recording that contains one.
fn snapshots(text: &str) -> Result<Vec<Value>, Error> {
    let unreadable = |what: String| Error::Scenario(format!("a history cannot be read: {what}"));
    let file: Value = serde_json::from_str(text).map_err(|e| unreadable(e.to_string()))?;
    let found = file.pointer("/documents/0/document").unwrap_or(&file);
    let Some(snapshots) = found["snapshots"].as_array() else {
        return Err(unreadable("it has no snapshots".into()));
    };
    let sent = |snapshot: &Value| {
        let fields = SENT.iter().filter_map(|name| {
            let value = snapshot.get(name).filter(|value| !value.is_null())?;
            Some(((*name).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    Ok(snapshots.iter().map(sent).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_a_document_or_a_recording_of_one() {
        for recording in RECORDINGS {
            assert!(snapshots(recording).unwrap().len() >= 20);
        }
        let document = r#"{"snapshots":[{"index":0,"reason":"start","item":null,"patch":[]}]}"#;
        let sent = json!({"reason": "start", "patch": []});
        assert_eq!(snapshots(document).unwrap(), [sent]);
        assert!(snapshots("{}").is_err());
    }
}
