//! Subscribers: many sockets on few threads. Every delivery is checked and counted.

mod frame;
mod retries;
mod subscriber;
mod tally;

use std::{
    io::ErrorKind,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use super::handshake::Subscription;
use crate::error::Error;
pub(crate) use frame::frame;
use retries::Retries;
use subscriber::Subscriber;
use tally::Tally;
pub(crate) use tally::histogram;

/// The threads of all subscribers. They share the machine with the target.
pub(crate) const THREADS: usize = 2;
/// The most bytes of one read.
const BUFFER: usize = 256 * 1024;
/// The most files that a process has open besides the connections, here and in a target.
pub(crate) const OTHER_FILES: usize = 200;
/// The longest wait without a delivery.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// What did not happen if messages do not arrive.
pub(crate) const DELIVERIES: &str = "deliveries arrived";
/// The longest wait of a thread for its sockets, before it looks whether it has to stop.
const WAIT: Duration = Duration::from_millis(50);

/// Connected subscribers. They disconnect when the value is dropped.
pub(crate) struct Subscribers {
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
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
        while subscribers.connected() < all {
            subscribers.check()?;
            progress(subscribers.connected());
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
        let tally = Arc::new(Tally::new(began));
        let share = subscriptions.len().div_ceil(threads.max(1)).max(1);
        let mut running = Vec::new();
        for part in subscriptions.chunks(share) {
            let (part, tally) = (part.to_vec(), tally.clone());
            let crew = Crew::new(&tally)?;
            running.push(std::thread::spawn(move || {
                if let Err(error) = crew.attend(part)
                    && let Ok(mut failure) = tally.failure.lock()
                {
                    failure.get_or_insert(error);
                }
            }));
        }
        Ok(Self {
            tally,
            threads: running,
        })
    }

    /// The number of subscribers that are connected now.
    pub(crate) fn connected(&self) -> u64 {
        self.tally.connected.load(Ordering::SeqCst)
    }

    /// How often subscribers have connected again.
    pub(crate) fn reconnected(&self) -> u64 {
        self.tally.reconnected.load(Ordering::SeqCst)
    }

    /// The number of messages that all subscribers have received.
    pub(crate) fn delivered(&self) -> u64 {
        self.tally.delivered.load(Ordering::SeqCst)
    }

    /// The number of repeated messages, if the target may repeat them.
    pub(crate) fn doubled(&self) -> u64 {
        self.tally.doubled.load(Ordering::SeqCst)
    }

    /// The number of bytes that all subscribers have received.
    pub(crate) fn bytes(&self) -> u64 {
        self.tally.bytes.load(Ordering::SeqCst)
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
                return Err(Error::excess(delivered, expected));
            }
            if delivered != last.0 {
                last = (delivered, Instant::now());
            }
            if last.1.elapsed() > PATIENCE {
                return Err(Error::Late {
                    what: DELIVERIES,
                    count: delivered,
                    expected,
                });
            }
            progress(delivered);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Returns the first failure of a subscriber so far.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let failure = self.tally.failure.lock().ok().and_then(|mut f| f.take());
        failure.map_or(Ok(()), Err)
    }

    /// Disconnects all subscribers; returns the latencies in nanoseconds.
    pub(crate) fn leave(mut self) -> Result<Histogram<u64>, Error> {
        self.stop();
        self.check()?;
        let latencies = self.tally.latencies.lock().map(|found| found.clone());
        Ok(latencies.unwrap_or_else(|_| histogram()))
    }

    fn stop(&mut self) {
        self.tally.stop.store(true, Ordering::SeqCst);
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

/// The subscribers of one thread.
struct Crew {
    tally: Arc<Tally>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    subscribers: Vec<Subscriber>,
    retries: Retries,
    latencies: Histogram<u64>,
}

impl Crew {
    fn new(tally: &Arc<Tally>) -> Result<Self, Error> {
        Ok(Self {
            tally: tally.clone(),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; BUFFER],
            subscribers: Vec::new(),
            retries: Retries::default(),
            latencies: histogram(),
        })
    }

    /// Connects the subscribers, and reads until it has to stop.
    fn attend(mut self, subscriptions: Vec<Subscription>) -> Result<(), Error> {
        for (place, subscription) in subscriptions.into_iter().enumerate() {
            self.subscribers.push(Subscriber::new(subscription));
            self.connect(place)?;
            self.serve(Duration::ZERO)?;
        }
        while !self.tally.stop.load(Ordering::SeqCst) {
            self.serve(self.retries.wait(Instant::now(), WAIT))?;
            // One at a time: a handshake waits for its answer, and the other subscribers wait with it.
            if let Some(place) = self.retries.take(Instant::now()) {
                self.reconnect(place)?;
            }
        }
        if let Ok(mut all) = self.tally.latencies.lock() {
            // Both have the same bounds.
            let _ = all.add(&self.latencies);
        }
        Ok(())
    }

    fn connect(&mut self, place: usize) -> Result<(), Error> {
        let subscriber = &mut self.subscribers[place];
        subscriber.connect(self.poll.registry(), Token(place))?;
        self.tally.connected.fetch_add(1, Ordering::SeqCst);
        let counted = subscriber.count(&[], &self.tally, &mut self.latencies);
        self.lose(place, counted)
    }

    /// Connects a subscriber again, or lets it wait for the next attempt.
    fn reconnect(&mut self, place: usize) -> Result<(), Error> {
        let subscriber = &mut self.subscribers[place];
        if let Err(error) = subscriber.connect(self.poll.registry(), Token(place)) {
            subscriber.lose(error)?;
            self.retries.add(place, Instant::now());
            return Ok(());
        }
        self.retries.forget(place);
        self.tally.reconnected.fetch_add(1, Ordering::SeqCst);
        self.tally.connected.fetch_add(1, Ordering::SeqCst);
        let counted = subscriber.count(&[], &self.tally, &mut self.latencies);
        self.lose(place, counted)
    }

    /// Reads from all sockets that have something.
    fn serve(&mut self, wait: Duration) -> Result<(), Error> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let places: Vec<_> = self.events.iter().map(|event| event.token().0).collect();
        for place in places {
            let subscriber = &mut self.subscribers[place];
            let read = subscriber.read(&mut self.buffer, &self.tally, &mut self.latencies);
            self.lose(place, read)?;
        }
        Ok(())
    }

    /// If a connection has ended, lets the subscriber wait until it connects again.
    fn lose(&mut self, place: usize, outcome: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = outcome else { return Ok(()) };
        self.subscribers[place].lose(error)?;
        self.tally.connected.fetch_sub(1, Ordering::SeqCst);
        self.retries.add(place, Instant::now());
        Ok(())
    }
}
