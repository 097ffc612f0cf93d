//! Subscribers that begin with a large state, compressed and not.

use std::io::{self, Read};

use super::{Cost, SERVICES, recorded_state};
use crate::{
    error::Error,
    load::{
        handshake::{Subscription, enter},
        subscribers::frame,
    },
    report::{Row, progress::Progress},
    targets::{Channel, Target, usage::Usage},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// The bytes of the state. It consists of recorded snapshots.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) bytes: usize,
    /// Subscribers that accept compressed messages, and as many that do not.
    #[arg(long, default_value_t = 200)]
    pub(crate) subscribers: usize,
}

/// Subscribers begin with the state, one after another.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channel = &target.channels(1, &recorded_state(load.bytes)?)?[0];
    let progress = Progress::new("reset".into(), 2);
    let plain = measure(target, channel, load.subscribers, false)?;
    progress.at(1);
    if plain.bytes < plain.deliveries * load.bytes as f64 {
        return Err(Error::Scenario("the first message is not the state".into()));
    }
    let compressed = measure(target, channel, load.subscribers, true)?;
    progress.at(2);
    let shown = format!("{} × {:.1} MB", load.subscribers, load.bytes as f64 / 1e6);
    Ok(compressed.beside(&plain, Row::new("reset", target.kind, shown)))
}

fn measure(
    target: &Target,
    channel: &Channel,
    subscribers: usize,
    compressed: bool,
) -> Result<Cost, Error> {
    let subscription = Subscription {
        path: format!("/ws/{}?init=state", channel.id),
        compressed,
        ..target.subscription(channel)
    };
    let mut bytes = 0;
    let usage = Usage::begin(target);
    for _ in 0..subscribers {
        let (mut socket, begun) = enter(&subscription, None)?;
        bytes += read_message(&mut socket, begun)?;
    }
    Ok(Cost {
        deliveries: subscribers as f64,
        bytes: bytes as f64,
        cpu: usage.of(target, &SERVICES),
    })
}

/// Reads one message, which may have several frames; returns its bytes. `begun` are the first of them.
fn read_message(socket: &mut impl Read, begun: Vec<u8>) -> Result<u64, Error> {
    let (mut bytes, mut at) = (begun, 0);
    let mut part = vec![0; 64 * 1024];
    loop {
        while let Some((opcode, _, end)) = frame(&bytes[at..]) {
            if opcode >= 8 {
                let what = "a control frame came before the state";
                return Err(Error::Scenario(what.into()));
            }
            let is_last = bytes[at] & 0x80 != 0;
            at += end;
            if is_last {
                return Ok(at as u64);
            }
        }
        let count = socket.read(&mut part)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.extend_from_slice(&part[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_last_frame() {
        let begun = b"\x01\x02a".to_vec();
        let read = read_message(&mut &b"b\x80\x01c\x81\x01d"[..], begun);
        assert_eq!(read.unwrap(), 7);
        assert!(read_message(&mut &b"bc"[..], b"\x81\x05a".to_vec()).is_err());
        assert!(read_message(&mut &b""[..], b"\x89\x00".to_vec()).is_err());
    }
}
