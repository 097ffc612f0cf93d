//! What a connection takes whose peer reads nothing.

use std::time::Instant;

use serde_json::json;

use crate::{
    error::Error,
    load::{fill::fill, handshake::enter, subscribers::Subscribers},
    report::{MEMORY, Row, progress::Progress},
    target::{Target, usage::kib_each},
};

/// How much is asked of the target.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Peers that read nothing.
    #[arg(long, default_value_t = 200)]
    pub(crate) peers: usize,
    /// Messages that wait for each. Together they must be more than the system keeps of a connection
    /// (`net.ipv4.tcp_wmem`, mostly 4 MiB), or nothing waits in the target.
    #[arg(long, default_value_t = 1000)]
    pub(crate) messages: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 16_384)]
    pub(crate) size: usize,
}

/// What the system keeps at a peer that reads nothing, in bytes.
const RECEIVED: usize = 16 * 1024;

/// Appends while nobody reads but a witness, and looks at the memory of the process that holds the
/// connections.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(1, &json!({"text": ""}))?;
    let subscription = target.subscription(&channels[0]);
    // The witness tells when all has been written, and pays for what is made once.
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
