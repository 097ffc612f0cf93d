//! Subscribers: many sockets on few threads. Every delivery is checked and counted.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use memchr::memmem;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{
    centrifugo::{self, Line},
    delivery_check::{Delivery, DeliveryCheck},
    handshake::{PONG, Subscription, TEXT, enter, masked},
};
use crate::error::Error;

/// The threads of all subscribers. They share the machine with the target.
pub(crate) const THREADS: usize = 2;
/// The most bytes of one read.
const BUFFER: usize = 256 * 1024;
/// The most files that a process has open besides the connections, here and in a target.
const OTHER_FILES: usize = 200;
/// The longest wait without a delivery.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connected subscribers. They disconnect when the value is dropped.
pub(crate) struct Subscribers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    connected: AtomicU64,
    delivered: AtomicU64,
    doubled: AtomicU64,
    bytes: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
    latencies: Mutex<Histogram<u64>>,
    began: Instant,
}

impl Subscribers {
    /// Connects all subscribers, on this many threads, and returns when all are connected.
    ///
    /// The times in the messages count from `began`.
    pub(crate) fn connect(
        subscriptions: Vec<Subscription>,
        threads: usize,
        began: Instant,
        progress: &dyn Fn(u64),
    ) -> Result<Self, Error> {
        let all = subscriptions.len() as u64;
        let subscribers = Self::begin(subscriptions, threads, began)?;
        while subscribers.shared.connected.load(Ordering::SeqCst) < all {
            subscribers.check()?;
            progress(subscribers.shared.connected.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(subscribers)
    }

    /// Begins to connect all subscribers.
    pub(crate) fn begin(
        subscriptions: Vec<Subscription>,
        threads: usize,
        began: Instant,
    ) -> Result<Self, Error> {
        let needed = subscriptions.len();
        let (limit, _) = rlimit::Resource::NOFILE.get()?;
        if (needed + OTHER_FILES) as u64 > limit {
            return Err(Error::Files { needed, limit });
        }
        let shared = Arc::new(Shared {
            connected: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            doubled: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
            latencies: Mutex::new(histogram()),
            began,
        });
        let share = subscriptions.len().div_ceil(threads.max(1)).max(1);
        let mut running = Vec::new();
        for part in subscriptions.chunks(share) {
            let (part, shared) = (part.to_vec(), shared.clone());
            let poll = Poll::new()?;
            running.push(std::thread::spawn(move || {
                if let Err(error) = attend(poll, &part, &shared)
                    && let Ok(mut failure) = shared.failure.lock()
                {
                    failure.get_or_insert(error);
                }
            }));
        }
        Ok(Self {
            shared,
            threads: running,
        })
    }

    /// The number of messages that all subscribers have received.
    pub(crate) fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::SeqCst)
    }

    /// The number of repeated messages, if the target may repeat them.
    pub(crate) fn doubled(&self) -> u64 {
        self.shared.doubled.load(Ordering::SeqCst)
    }

    /// The number of bytes that all subscribers have received.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// Waits until the subscribers have received this many messages.
    pub(crate) fn until(&self, expected: u64) -> Result<(), Error> {
        self.wait(expected, |_| {})
    }

    /// The same, and reports the number so far now and then.
    pub(crate) fn wait(&self, expected: u64, progress: impl Fn(u64)) -> Result<(), Error> {
        let mut last = (self.delivered(), Instant::now());
        loop {
            self.check()?;
            let delivered = self.delivered();
            if delivered == expected {
                return Ok(());
            }
            if delivered > expected {
                let what = format!("{delivered} deliveries instead of {expected}");
                return Err(Error::Delivery(what));
            }
            if delivered != last.0 {
                last = (delivered, Instant::now());
            }
            if last.1.elapsed() > PATIENCE {
                return Err(Error::Late {
                    delivered,
                    expected,
                });
            }
            progress(delivered);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Returns the first failure of a subscriber so far.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let failure = self.shared.failure.lock().ok().and_then(|mut f| f.take());
        failure.map_or(Ok(()), Err)
    }

    /// Disconnects all subscribers; returns the latencies in nanoseconds.
    pub(crate) fn leave(mut self) -> Result<Histogram<u64>, Error> {
        self.stop();
        self.check()?;
        let latencies = self.shared.latencies.lock().map(|found| found.clone());
        Ok(latencies.unwrap_or_else(|_| histogram()))
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A panic of a thread has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A histogram from 1 µs to 60 s with three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    let Ok(histogram) = Histogram::new_with_bounds(1_000, 60_000_000_000, 3) else {
        unreachable!("hdrhistogram takes these constants");
    };
    histogram
}

/// Connects the subscribers of one thread, and reads until it has to stop.
fn attend(mut poll: Poll, subscriptions: &[Subscription], shared: &Shared) -> Result<(), Error> {
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; BUFFER];
    let mut subscribers = Vec::with_capacity(subscriptions.len());
    let mut latencies = histogram();
    for subscription in subscriptions {
        let token = Token(subscribers.len());
        let mut subscriber = Subscriber::connect(subscription)?;
        poll.registry()
            .register(&mut subscriber.socket, token, Interest::READABLE)?;
        subscriber.count(&[], shared, &mut latencies)?;
        subscribers.push(subscriber);
        shared.connected.fetch_add(1, Ordering::SeqCst);
        serve(
            &mut poll,
            &mut events,
            Duration::ZERO,
            &mut subscribers,
            &mut buffer,
            shared,
            &mut latencies,
        )?;
    }
    while !shared.stop.load(Ordering::SeqCst) {
        let wait = Duration::from_millis(50);
        serve(
            &mut poll,
            &mut events,
            wait,
            &mut subscribers,
            &mut buffer,
            shared,
            &mut latencies,
        )?;
    }
    if let Ok(mut all) = shared.latencies.lock() {
        // Both have the same bounds.
        let _ = all.add(&latencies);
    }
    Ok(())
}

fn serve(
    poll: &mut Poll,
    events: &mut Events,
    wait: Duration,
    subscribers: &mut [Subscriber],
    buffer: &mut [u8],
    shared: &Shared,
    latencies: &mut Histogram<u64>,
) -> Result<(), Error> {
    match poll.poll(events, Some(wait)) {
        Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
        _ => {}
    }
    for event in events.iter() {
        subscribers[event.token().0].read(buffer, shared, latencies)?;
    }
    Ok(())
}

/// One subscriber.
struct Subscriber {
    socket: TcpStream,
    path: String,
    order: DeliveryCheck,
    /// Whether a frame has lines of Centrifugo's protocol in place of one message.
    lines: bool,
    /// The beginning of a frame whose end has not arrived.
    rest: Vec<u8>,
    /// Answers to pings that the socket has not accepted yet.
    pongs: VecDeque<u8>,
}

impl Subscriber {
    fn connect(subscription: &Subscription) -> Result<Self, Error> {
        let (socket, rest) = enter(subscription, None)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: TcpStream::from_std(socket),
            path: subscription.path.clone(),
            order: subscription.order.clone(),
            lines: subscription.centrifugo.is_some(),
            rest,
            pongs: VecDeque::new(),
        })
    }

    /// Reads all that the socket has.
    fn read(
        &mut self,
        buffer: &mut [u8],
        shared: &Shared,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => {
                    return Err(Error::Delivery(format!(
                        "{}: the connection ended",
                        self.path
                    )));
                }
                Ok(count) => {
                    self.count(&buffer[..count], shared, latencies)?;
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
    }

    /// Counts the frames in the received bytes.
    fn count(
        &mut self,
        received: &[u8],
        shared: &Shared,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        let mut held = std::mem::take(&mut self.rest);
        let bytes = if held.is_empty() {
            received
        } else {
            held.extend_from_slice(received);
            &held
        };
        let (mut at, mut messages) = (0, 0);
        while let Some((opcode, payload, end)) = frame(&bytes[at..]) {
            let payload = &bytes[at..][payload..end];
            match opcode {
                0x0..=0x2 if self.lines => {
                    messages += self.take_lines(payload, shared, latencies)?;
                }
                0x0..=0x2 => {
                    messages += self.take(payload, shared, latencies)?;
                }
                0x9 => self.answer(PONG, payload)?,
                0x8 => {
                    let said = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    return Err(Error::Delivery(format!(
                        "{}: the server closed it: {said}",
                        self.path
                    )));
                }
                _ => {}
            }
            at += end;
        }
        self.rest = bytes[at..].to_vec();
        shared.delivered.fetch_add(messages, Ordering::SeqCst);
        shared.bytes.fetch_add(at as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Checks the messages of a frame of Centrifugo, and answers its pings; returns how many messages are new.
    fn take_lines(
        &mut self,
        payload: &[u8],
        shared: &Shared,
        latencies: &mut Histogram<u64>,
    ) -> Result<u64, Error> {
        let mut messages = 0;
        for line in centrifugo::lines(payload) {
            match line {
                Line::Publication(message) => messages += self.take(message, shared, latencies)?,
                Line::Ping => self.answer(TEXT, centrifugo::PING)?,
                Line::Reply => {}
                Line::Other(line) => {
                    let said = String::from_utf8_lossy(line);
                    return Err(Error::Delivery(format!("{} received {said}", self.path)));
                }
            }
        }
        Ok(messages)
    }

    /// Checks a message; returns 1 if it is new, otherwise 0.
    fn take(
        &mut self,
        payload: &[u8],
        shared: &Shared,
        latencies: &mut Histogram<u64>,
    ) -> Result<u64, Error> {
        let Some((number, rest)) = number_after(payload, b"\"cursor\":\"") else {
            let said = String::from_utf8_lossy(payload);
            return Err(Error::Delivery(format!("{} received {said}", self.path)));
        };
        let producer = number_after(rest, b"-").map_or(0, |(producer, _)| producer);
        let producer = match self.order {
            DeliveryCheck::Log { .. } => 0,
            DeliveryCheck::Producers { .. } => usize::try_from(producer).unwrap_or(usize::MAX),
        };
        match self.order.take(number, producer) {
            Ok(Delivery::Next) => {}
            Ok(Delivery::Double) => {
                shared.doubled.fetch_add(1, Ordering::SeqCst);
                return Ok(0);
            }
            Err(last) => {
                let what = format!("{} received {number} after {last}", self.path);
                return Err(Error::Delivery(what));
            }
        }
        // A message without a time is not measured.
        if let Some((sent, _)) = number_after(rest, b"\"at\":").filter(|(sent, _)| *sent > 0) {
            let now = shared.began.elapsed().as_nanos();
            let took = u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(sent);
            latencies.saturating_record(took);
        }
        Ok(1)
    }

    /// Answers a ping.
    fn answer(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Error> {
        self.pongs.extend(masked(opcode, payload));
        while !self.pongs.is_empty() {
            match self.socket.write(self.pongs.make_contiguous()) {
                Ok(count) => drop(self.pongs.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(io::Error::into(error)),
            }
        }
        Ok(())
    }
}

/// The opcode of the first frame, and where its payload begins and ends; `None` while the frame is incomplete
/// (RFC 6455 section 5.2; a server's frames are not masked).
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (begin, length) = match second & 0x7f {
        126 => (
            4,
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = begin + usize::try_from(length).ok()?;
    (bytes.len() >= end).then_some((first & 0xf, begin, end))
}

/// The number after a name, and the bytes after it.
fn number_after<'a>(payload: &'a [u8], name: &[u8]) -> Option<(u64, &'a [u8])> {
    let rest = &payload[memmem::find(payload, name)? + name.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = rest[..digits].iter().fold(0_u64, |number, digit| {
        number
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'))
    });
    (digits > 0).then_some((number, &rest[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_once_it_is_complete() {
        let text = b"\x81\x03abc\x81";
        assert_eq!(frame(text), Some((1, 2, 5)));
        assert_eq!(frame(&text[..4]), None);
        let mut long = vec![0x81, 126, 1, 0];
        long.resize(4 + 256, b'x');
        assert_eq!(frame(&long), Some((1, 4, 260)));
    }

    #[test]
    fn a_number_is_found_by_its_name() {
        let text = br#"{"id":1,"cursor":"18-77","at":5}"#;
        let number = |name: &[u8]| number_after(text, name).map(|(number, _)| number);
        assert_eq!(number(b"\"cursor\":\""), Some(18));
        assert_eq!(number(b"\"at\":"), Some(5));
        assert_eq!(number(b"\"id\":\""), None);
    }
}
