//! `GET` of a document with a long history, compared with `redis-cli` on the same stream.

use std::process::{Command, Stdio};

use ltm_types::{LtmId, keys};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    error::Error,
    load::fill::fill,
    report::{Row, progress::Progress},
    targets::{
        Channel, Target,
        usage::{Peak, Usage},
    },
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Snapshots in the document.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) snapshots: u64,
    /// How often each of the two reads.
    #[arg(long, default_value_t = 10)]
    pub(crate) rounds: u64,
    /// Bytes per message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
}

/// The part of a document that is checked.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    snapshots: Vec<&'a RawValue>,
}

/// Reads the document and the stream in turns, from an API that has not cached the LTM.
pub(crate) fn run(target: &mut Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(2, &json!({"text": ""}))?;
    // The creation writes the first.
    let entries = load.snapshots.saturating_sub(1);
    fill(target, &channels[..1], entries, load.size)?;
    target.renew_api()?;
    let path = |channel: &Channel| format!("/api/v0/ltm/{}", channel.id);
    let mut http = target.http()?;
    // The first request sets things up and is not measured. Reading the log for the state counts only
    // as memory.
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
            return Err(Error::Document("the API did not stream it".into()));
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

/// Checks that the document has all snapshots.
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

/// The CPU time in microseconds that `redis-cli` and Redis need to read the LTM's stream; not a number if
/// Redis runs elsewhere.
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

/// The CPU time in microseconds of the child processes that have ended.
fn of_children() -> Result<f64, Error> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(std::io::Error::from)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}
