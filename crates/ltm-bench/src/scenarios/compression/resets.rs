//! Subscribers that begin with a large state, compressed and not.

use std::io::{self, BufReader, Read};

use super::{Cost, SERVICES, recorded_state};
use crate::{
    error::Error,
    load::handshake::{Subscription, enter},
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
        let (socket, begun) = enter(&subscription, None)?;
        bytes += read_message(&mut BufReader::new(begun.chain(socket)))?;
    }
    Ok(Cost {
        deliveries: subscribers as f64,
        bytes: bytes as f64,
        cpu: usage.of(target, &SERVICES),
    })
}

/// Reads one message, which may have several frames; returns its bytes (RFC 6455 section 5.2; a server does not mask).
fn read_message(socket: &mut impl Read) -> Result<u64, Error> {
    let mut bytes = 0;
    loop {
        let mut head = [0; 2];
        socket.read_exact(&mut head)?;
        let is_control = head[0] & 0x8 != 0;
        if is_control {
            return Err(Error::Scenario(
                "a control frame came before the state".into(),
            ));
        }
        let (length, head_bytes) = match head[1] {
            126 => {
                let mut length = [0; 2];
                socket.read_exact(&mut length)?;
                (u16::from_be_bytes(length).into(), 4)
            }
            127 => {
                let mut length = [0; 8];
                socket.read_exact(&mut length)?;
                (u64::from_be_bytes(length), 10)
            }
            short => (u64::from(short), 2),
        };
        let read = io::copy(&mut socket.by_ref().take(length), &mut io::sink())?;
        if read < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes += head_bytes + length;
        let is_last = head[0] & 0x80 != 0;
        if is_last {
            return Ok(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_last_frame() {
        let mut socket = &b"\x01\x02ab\x80\x01c\x81\x01d"[..];
        assert_eq!(read_message(&mut socket).unwrap(), 7);
        assert_eq!(read_message(&mut socket).unwrap(), 3);
        assert!(read_message(&mut &b"\x81\x05abc"[..]).is_err());
    }
}
