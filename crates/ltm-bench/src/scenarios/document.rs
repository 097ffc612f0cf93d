//! `GET` of a document with a long history, beside `redis-cli` that reads the same stream.

use std::process::{Command, Stdio};

use ltm_types::{LtmId, keys};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    error::Error,
    load::fill::fill,
    report::{Row, progress::Progress},
    target::{
        Channel, Target,
        usage::{Peak, Usage},
    },
};

/// How much is asked of the target.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Snapshots in the document.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) snapshots: u64,
    /// How often it is read each way.
    #[arg(long, default_value_t = 10)]
    pub(crate) rounds: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
}

/// What must be in a document.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    snapshots: Vec<&'a RawValue>,
}

/// Reads the document and the stream in turns, from an API that has not written it.
pub(crate) fn run(target: &mut Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(2, &json!({"text": ""}))?;
    // The first is written by the creation.
    let entries = load.snapshots.saturating_sub(1);
    fill(target, &channels[..1], entries, load.size)?;
    target.renew_api()?;
    let path = |channel: &Channel| format!("/api/v0/ltm/{}", channel.id);
    let mut http = target.http()?;
    // What is made at the first request is not counted, and what is read from the log for the state
    // is counted as memory only.
    http.get(&path(&channels[1]), &mut |_| {})?;
    let peak = Peak::begin(target.process("ltm-api"));
    http.get(&path(&channels[0]), &mut |_| {})?;
    let progress = Progress::new("document".into(), load.rounds);
    let (mut get, mut cli, mut document) = (0.0, 0.0, Vec::new());
    for round in 0..load.rounds {
        document.clear();
        let usage = Usage::begin(target);
        let take = &mut |part: &[u8]| document.extend_from_slice(part);
        if !http.get(&path(&channels[0]), take)? {
            return Err(Error::Document("it was not streamed".into()));
        }
        get += usage.of(target, &["ltm-api", "redis"]);
        cli += redis_cli(target, channels[0].id)?;
        progress.at(round);
    }
    let peak = peak.grown();
    check(&document, load.snapshots)?;
    let (read, size) = ((load.rounds * load.snapshots) as f64, document.len() as f64);
    let shown = format!("{} snapshots", load.snapshots);
    Ok(Row::new("document", target.kind, shown)
        .with("CPU µs a snapshot", get / read)
        .with("redis-cli µs a snapshot", cli / read)
        .with("GET / redis-cli", get / cli)
        .with("MiB", size / 1_048_576.0)
        .with("peak memory / size", peak / size))
}

/// Whether all snapshots are there.
fn check(document: &[u8], snapshots: u64) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::Document(what));
    match serde_json::from_slice::<Document>(document) {
        Ok(document) if document.snapshots.len() as u64 == snapshots => Ok(()),
        Ok(document) => wrong(format!(
            "it has {} snapshots of {snapshots}",
            document.snapshots.len()
        )),
        Err(error) => wrong(error.to_string()),
    }
}

/// The processor time that it and Redis take for reading the LTM's stream, in microseconds; not a
/// number where Redis is elsewhere.
fn redis_cli(target: &Target, id: LtmId) -> Result<f64, Error> {
    let Some(redis) = &target.redis_at else {
        return Ok(f64::NAN);
    };
    let port = redis.rsplit(':').next().unwrap_or_default();
    let mut command = Command::new("redis-cli");
    command.args(["-p", port, "--raw", "XRANGE", &keys::log(id), "-", "+"]);
    let (usage, before) = (Usage::begin(target), of_children()?);
    let outcome = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let name = "redis-cli";
    let status = outcome.map_err(|source| Error::Spawn { name, source })?;
    if !status.success() {
        return Err(Error::Answer(format!("{name} ended with {status}")));
    }
    Ok(usage.of(target, &["redis"]) + of_children()? - before)
}

/// The processor time of the processes that were started here and have ended, in microseconds.
fn of_children() -> Result<f64, Error> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(std::io::Error::from)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}
