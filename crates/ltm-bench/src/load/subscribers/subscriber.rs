//! One subscriber: its connection, and the check of what it receives.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    sync::atomic::Ordering,
};

use hdrhistogram::Histogram;
use ltm_client::Cursor;
use mio::{Registry, Token, net::TcpStream};

use super::{
    frame::{frame, number_after},
    tally::Tally,
};
use crate::{
    error::Error,
    load::{
        centrifugo::{self, Line},
        delivery_check::{Delivery, DeliveryCheck},
        handshake::{PONG, Subscription, TEXT, enter, masked},
    },
};

/// The close codes after which a subscriber connects again: the server stops, restarts, or has too much to do.
const RESTARTS: [u16; 3] = [1001, 1012, 1013];

/// The most bytes of a message that an error quotes.
const MAX_QUOTED: usize = 200;

/// One subscriber.
pub(super) struct Subscriber {
    subscription: Subscription,
    /// `None` between two connections.
    socket: Option<TcpStream>,
    /// The beginning of a frame whose end has not arrived.
    rest: Vec<u8>,
    /// Answers to pings that the socket has not accepted yet.
    pongs: VecDeque<u8>,
    /// New messages that the tally does not have yet.
    taken: u64,
}

impl Subscriber {
    pub(super) fn new(subscription: Subscription) -> Self {
        Self {
            subscription,
            socket: None,
            rest: Vec::new(),
            pongs: VecDeque::new(),
            taken: 0,
        }
    }

    /// Connects, and registers the socket. The bytes after the handshake are counted with the next ones, or by
    /// [`Self::count`].
    pub(super) fn connect(&mut self, registry: &Registry, token: Token) -> Result<(), Error> {
        let (socket, rest) = enter(&self.subscription, None)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        registry.register(&mut socket, token, mio::Interest::READABLE)?;
        (self.socket, self.rest) = (Some(socket), rest);
        Ok(())
    }

    /// Closes its end of a connection that has ended, if it may connect again after this error.
    pub(super) fn lose(&mut self, error: Error) -> Result<(), Error> {
        if !self.subscription.resumes || !error.is_temporary() {
            return Err(error);
        }
        self.socket = None;
        self.rest.clear();
        self.pongs.clear();
        Ok(())
    }

    /// Reads all that the socket has.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        tally: &Tally,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        while let Some(socket) = &mut self.socket {
            match socket.read(buffer) {
                Ok(0) => return Err(self.ended("the connection ended")),
                Ok(count) => {
                    self.count(&buffer[..count], tally, latencies)?;
                    // The buffer is not full, so there is no more for now.
                    if count < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Counts the frames in the received bytes.
    pub(super) fn count(
        &mut self,
        received: &[u8],
        tally: &Tally,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        let mut held = std::mem::take(&mut self.rest);
        let bytes = if held.is_empty() {
            received
        } else {
            held.extend_from_slice(received);
            &held
        };
        let outcome = self.take_frames(bytes, tally, latencies);
        let counted = *outcome.as_ref().unwrap_or(&0);
        tally.bytes.fetch_add(counted as u64, Ordering::SeqCst);
        // The messages before an error count, too: a subscriber that resumes does not receive them again.
        let taken = std::mem::take(&mut self.taken);
        tally.delivered.fetch_add(taken, Ordering::SeqCst);
        let end = outcome?;
        self.rest = bytes[end..].to_vec();
        Ok(())
    }

    /// Takes all complete frames; returns where the last one ends.
    fn take_frames(
        &mut self,
        bytes: &[u8],
        tally: &Tally,
        latencies: &mut Histogram<u64>,
    ) -> Result<usize, Error> {
        let mut at = 0;
        while let Some((opcode, payload, end)) = frame(&bytes[at..]) {
            let payload = &bytes[at..][payload..end];
            match opcode {
                0x0..=0x2 if self.subscription.centrifugo.is_some() => {
                    self.take_lines(payload, tally, latencies)?;
                }
                // The first frame of a message has its cursor.
                0x0 => {}
                0x1 | 0x2 if self.subscription.compressed => self.taken += 1,
                0x1 | 0x2 => self.take(payload, tally, latencies)?,
                0x9 => self.answer(PONG, payload)?,
                0x8 => return Err(self.closed(payload)),
                _ => {}
            }
            at += end;
        }
        Ok(at)
    }

    /// Checks the messages of a frame of Centrifugo, and answers its pings.
    fn take_lines(
        &mut self,
        payload: &[u8],
        tally: &Tally,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        for line in centrifugo::lines(payload) {
            match line {
                Line::Publication(message) => self.take(message, tally, latencies)?,
                Line::Ping => self.answer(TEXT, centrifugo::PING)?,
                Line::Reply => {}
                Line::Other(line) => return Err(self.strange(line)),
            }
        }
        Ok(())
    }

    /// Checks a message, and counts it if it is new.
    fn take(
        &mut self,
        payload: &[u8],
        tally: &Tally,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        let Some((number, rest)) = number_after(payload, b"\"cursor\":\"") else {
            return Err(self.strange(payload));
        };
        // A log has a hash here, a peer the number of a producer.
        let second = number_after(rest, b"-").map_or(0, |(second, _)| second);
        let Subscription { path, order, .. } = &mut self.subscription;
        let producer = match order {
            DeliveryCheck::Log { .. } => 0,
            DeliveryCheck::Producers { .. } => usize::try_from(second).unwrap_or(usize::MAX),
        };
        match order.take(number, producer) {
            Ok(Delivery::Next) => {}
            Ok(Delivery::Double) => {
                tally.doubled.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            Err(last) => {
                let what = format!("{path} received {number} after {last}");
                return Err(Error::Delivery(what));
            }
        }
        if self.subscription.resumes {
            let (seq, check) = (number, second);
            self.subscription.resume_after(Cursor { seq, check });
        }
        self.taken += 1;
        // A message without a time is not measured.
        if let Some((sent, _)) = number_after(rest, b"\"at\":").filter(|(sent, _)| *sent > 0) {
            let now = tally.began.elapsed().as_nanos();
            let took = u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(sent);
            latencies.saturating_record(took);
        }
        Ok(())
    }

    /// Answers a ping.
    fn answer(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Error> {
        self.pongs.extend(masked(opcode, payload));
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        while !self.pongs.is_empty() {
            match socket.write(self.pongs.make_contiguous()) {
                Ok(count) => drop(self.pongs.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(io::Error::into(error)),
            }
        }
        Ok(())
    }

    /// The error if the server closes the connection with this payload: a code and a reason.
    fn closed(&self, payload: &[u8]) -> Error {
        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        let said = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
        let what = format!("the server closed it: {said}");
        match code {
            Some(code) if RESTARTS.contains(&code) => self.ended(&what),
            _ => Error::Delivery(format!("{}: {what}", self.subscription.path)),
        }
    }

    fn ended(&self, what: &str) -> Error {
        Error::Ended(format!("{}: {what}", self.subscription.path))
    }

    fn strange(&self, received: &[u8]) -> Error {
        let quoted = &received[..received.len().min(MAX_QUOTED)];
        let said = String::from_utf8_lossy(quoted);
        Error::Delivery(format!("{} received {said}", self.subscription.path))
    }
}
