//! Appends as fast as they are answered: how many per second, and the cost of each.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    error::Error,
    load::threads,
    report::{Row, progress::Progress},
    targets::{Channel, Target, usage::Usage},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Producers, each with a connection of its own.
    #[arg(long, default_value_t = 16)]
    pub(crate) producers: usize,
    /// LTMs per producer.
    #[arg(long, default_value_t = 16)]
    pub(crate) ltms: usize,
    /// Bytes of each LTM's state.
    #[arg(long, default_value_t = 1024)]
    pub(crate) state: usize,
    /// The content of a request.
    #[arg(long, value_enum, default_value = "patch")]
    pub(crate) body: RequestBody,
    /// The duration in seconds.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
}

/// The content of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RequestBody {
    /// A patch of one operation.
    Patch,
    /// The whole new state, in which one member differs.
    State,
}

/// Appends until the time is over.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    // Many members, as in a real state, instead of one long text.
    let members = load.state.div_ceil(64).max(1);
    let state: serde_json::Map<_, _> = (0..members)
        .map(|number| (format!("member-{number:010}"), json!("x".repeat(40))))
        .collect();
    let state = json!({"n": 0, "members": state});
    let channels = target.channels(load.producers * load.ltms, &state)?;
    let progress = Progress::new(format!("append, {}", target.kind.name()), load.seconds);
    let appended = AtomicU64::new(0);
    let usage = Usage::begin(target);
    let until = Instant::now() + Duration::from_secs(load.seconds);
    let tasks = channels.chunks(load.ltms).map(|mine| {
        let (appended, state) = (&appended, state.clone());
        move || produce(target, mine, load.body, state, until, appended)
    });
    threads::run_all(tasks.collect(), || progress.at(usage.seconds() as u64))?;
    let count = appended.load(Ordering::SeqCst) as f64;
    let (seconds, cpu) = (usage.seconds(), usage.cpu(target));
    let row = Row::new("append", target.kind, load.shown());
    Ok(row.with("appends/s", count / seconds).costs(&cpu, count))
}

impl Load {
    pub(crate) fn shown(self) -> String {
        let Self {
            producers,
            ltms,
            state,
            body,
            ..
        } = self;
        format!("{producers} × {ltms} LTMs, {state} B, {body:?}")
    }
}

fn produce(
    target: &Target,
    channels: &[Channel],
    body: RequestBody,
    mut state: serde_json::Value,
    until: Instant,
    appended: &AtomicU64,
) -> Result<(), Error> {
    let mut producer = target.producer()?;
    let mut number = 0_u64;
    while Instant::now() < until {
        number += 1;
        let round = number / channels.len() as u64 + 1;
        let body = match body {
            RequestBody::Patch => {
                json!({"reason": "execute", "patch": [{"op": "replace", "path": "/n", "value": round}]})
            }
            RequestBody::State => {
                state["n"] = json!(round);
                json!({"reason": "execute", "state": state})
            }
        };
        let turn = usize::try_from(number).unwrap_or(0) % channels.len();
        producer.snapshot(&channels[turn], body.to_string().as_bytes())?;
        appended.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
