//! Many clients that open one document at the same time, compared with nginx and a file of the same bytes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::json;

use super::meanwhile::waits;
use crate::{
    error::Error,
    load::{fill::fill, http::Http, threads},
    report::{Row, progress::Progress},
    targets::{Target, file_server::FileServer, usage::Usage},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Snapshots in the document.
    #[arg(long, default_value_t = 1000)]
    pub(crate) snapshots: u64,
    /// How often the document and the file are opened, each time by a new connection.
    #[arg(long, default_value_t = 5000)]
    pub(crate) openings: u64,
    /// Connections at the same time.
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
    /// Rounds in which the two take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: u64,
    /// Bytes per message.
    #[arg(long, default_value_t = 150)]
    pub(crate) size: usize,
    /// The seconds in which appends to another LTM and health checks are timed, without openings and with them.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
}

impl Load {
    /// The openings of one round. All rounds together have at least as many as the load.
    fn per_round(self) -> u64 {
        self.openings.div_ceil(self.rounds)
    }
}

/// Opens the document and the file in turns.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(1, &json!({"text": ""}))?;
    // The creation writes the first.
    fill(
        target,
        &channels,
        load.snapshots.saturating_sub(1),
        load.size,
    )?;
    let path = format!("/api/v0/ltm/{}", channels[0].id);
    let mut text = Vec::new();
    let take = &mut |part: &[u8]| text.extend_from_slice(part);
    target.http()?.get(&path, take)?;
    let nginx = FileServer::start(&text)?;
    let progress = Progress::new("opening".into(), load.rounds);
    let (mut live, mut file) = (0.0, 0.0);
    for round in 0..load.rounds {
        let usage = Usage::begin(target);
        open(load, &path, text.len(), || target.http())?;
        live += usage.of(target, &["ltm-api", "redis"]);
        file += match &nginx {
            Some(nginx) => {
                let before = nginx.process.cpu();
                let connect = || Http::connect(&nginx.address);
                open(load, FileServer::PATH, text.len(), connect)?;
                (nginx.process.cpu() - before).as_secs_f64() * 1e6
            }
            None => f64::NAN,
        };
        progress.at(round);
    }
    let seconds = Duration::from_secs(load.seconds);
    let alone = waits(target, seconds, || {
        std::thread::sleep(Duration::from_millis(20));
        Ok(())
    })?;
    let meanwhile = waits(target, seconds, || {
        open(load, &path, text.len(), || target.http())
    })?;
    let openings = (load.rounds * load.per_round()) as f64;
    let shown = format!("{} snapshots, {} at once", load.snapshots, load.connections);
    Ok(Row::new("opening", target.kind, shown)
        .with("CPU µs each", live / openings)
        .with("nginx µs each", file / openings)
        .with("× nginx", live / file)
        .with("KiB", text.len() as f64 / 1024.0)
        .with("append p99 ms", meanwhile.append)
        .with("× alone", meanwhile.append / alone.append)
        .with("healthz p99 ms", meanwhile.health)
        .with("healthz × alone", meanwhile.health / alone.health))
}

/// One round of openings.
fn open(
    load: Load,
    path: &str,
    length: usize,
    connect: impl Fn() -> Result<Http, Error> + Sync,
) -> Result<(), Error> {
    let (next, all) = (AtomicU64::new(0), load.per_round());
    let task = || {
        || {
            while next.fetch_add(1, Ordering::Relaxed) < all {
                let mut received = 0;
                connect()?.get(path, &mut |part| received += part.len())?;
                if received != length {
                    let what = format!("{received} bytes of {length}");
                    return Err(Error::Document(what));
                }
            }
            Ok(())
        }
    };
    let tasks = (0..load.connections).map(|_| task()).collect();
    threads::run_all(tasks, || {})
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        load: Load,
    }

    #[test]
    fn there_is_a_round_and_each_round_opens_something() {
        assert!(Command::try_parse_from(["opening", "--rounds", "0"]).is_err());
        let few = ["opening", "--openings", "2", "--rounds", "5"];
        let few = Command::try_parse_from(few).unwrap();
        assert_eq!(few.load.per_round(), 1);
    }
}
