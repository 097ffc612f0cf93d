//! The memory of a connection whose peer reads nothing.

use std::time::Instant;

use serde_json::json;

use crate::{
    error::Error,
    load::{fill::fill, handshake::enter, subscribers::Subscribers},
    report::{MEMORY, Row, progress::Progress},
    targets::{Target, usage::kib_each},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Peers that read nothing.
    #[arg(long, default_value_t = 200)]
    pub(crate) peers: usize,
    /// Messages that wait for each peer. Together they must exceed the send buffer of a connection
    /// (`net.ipv4.tcp_wmem`, usually 4 MiB), or nothing waits in the target.
    #[arg(long, default_value_t = 1000)]
    pub(crate) messages: u64,
    /// Bytes per message.
    #[arg(long, default_value_t = 16_384)]
    pub(crate) size: usize,
}

/// The receive buffer of a peer, in bytes.
const RECEIVED: usize = 16 * 1024;

/// Appends while only a witness reads, and reads the memory of the process that holds the connections.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(1, &json!({"text": ""}))?;
    let subscription = target.subscription(&channels[0]);
    // The witness shows when all messages are written, and bears the one-time costs.
    let witness = Subscribers::connect(vec![subscription.clone()], 1, Instant::now(), &|_| {})?;
    let before = target.memory();
    let progress = Progress::new("stalled: connecting".into(), load.peers as u64);
    let mut peers = Vec::with_capacity(load.peers);
    for number in 0..load.peers {
        peers.push(enter(&subscription, Some(RECEIVED))?);
        progress.at(number as u64);
    }
    let idle = target.memory();
    fill(target, &channels, load.messages, load.size)?;
    witness.until(load.messages)?;
    let stalled = target.memory();
    let bytes = witness.bytes() as f64;
    let each = |bytes: f64| kib_each(before, bytes, load.peers);
    let shown = format!("{} peers, {:.1} MiB each", load.peers, bytes / 1_048_576.0);
    Ok(Row::new("stalled", target.kind, shown)
        .with("KiB each, idle", each(idle))
        .with(MEMORY, each(stalled)))
}
