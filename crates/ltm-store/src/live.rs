//! What is appended, as it happens: one subscription per followed LTM, on one connection.
//!
//! The channel is only speed: whoever listens must read the log after [`LiveEvent::Subscribed`],
//! and after [`LiveEvent::Overflow`], and from time to time anyway.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use ltm_types::{Entry, LtmId, keys};
use redis::{PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, interval, sleep, timeout},
};
use uuid::Uuid;

use crate::connection::{Redis, reconnect_pauses};

/// How many channels one SUBSCRIBE names at most.
const BATCH: usize = 512;
/// How many events may wait at most; more are dropped and make an overflow.
const MAX_EVENTS: usize = 16 * 1024;
/// How often the connection is probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// What happened.
#[derive(Debug)]
pub enum LiveEvent {
    /// An entry was appended; when, in microseconds since 1970 by Redis's clock.
    Entry(LtmId, Entry, u64),
    /// From now on every entry of these LTMs comes; what came before must be read.
    Subscribed(Vec<LtmId>),
    /// Entries were dropped because they came faster than they were taken; every log must be read.
    Overflow,
}

/// The wish list of one follower of many logs. Clones share it.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    wanted: Mutex<HashSet<LtmId>>,
    changed: Notify,
    /// Set while the connection is up, subscribed, and not deaf.
    hears: AtomicBool,
    overflow: AtomicBool,
    waiting_bytes: AtomicUsize,
    max_bytes: usize,
}

/// The events, in the order in which they happened.
pub struct LiveEvents {
    shared: Arc<Shared>,
    receiver: mpsc::Receiver<LiveEvent>,
}

impl Live {
    /// Begins to listen, in a task of its own that ends when the events are dropped. Entries of up
    /// to `max_bytes` wait to be taken.
    ///
    /// It listens to the Redis that `redis` writes to.
    pub fn start(redis: Redis, max_bytes: usize) -> (Self, LiveEvents) {
        let (sender, receiver) = mpsc::channel(MAX_EVENTS);
        let shared = Arc::new(Shared {
            wanted: Mutex::default(),
            changed: Notify::new(),
            hears: AtomicBool::new(false),
            overflow: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            max_bytes,
        });
        let listener = Listener {
            redis,
            shared: shared.clone(),
            sender,
        };
        tokio::spawn(listener.run());
        let live = Self {
            shared: shared.clone(),
        };
        (live, LiveEvents { shared, receiver })
    }

    /// Asks for the entries of this LTM; [`LiveEvent::Subscribed`] says from when on they come.
    pub fn follow(&self, id: LtmId) {
        self.shared.wanted().insert(id);
        self.shared.changed.notify_one();
    }

    /// Lets this LTM go.
    pub fn unfollow(&self, id: LtmId) {
        self.shared.wanted().remove(&id);
        self.shared.changed.notify_one();
    }

    /// Whether the connection is up and a message on it has come back lately.
    pub fn hears(&self) -> bool {
        self.shared.hears.load(Ordering::SeqCst)
    }
}

impl LiveEvents {
    /// The next event; `None` when the listener has ended, which it does not do by itself.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        if self.shared.overflow.swap(false, Ordering::SeqCst) {
            return Some(LiveEvent::Overflow);
        }
        let event = self.receiver.recv().await?;
        self.taken(&event);
        Some(event)
    }

    /// The next event, where it has happened.
    pub fn try_next(&mut self) -> Option<LiveEvent> {
        if self.shared.overflow.swap(false, Ordering::SeqCst) {
            return Some(LiveEvent::Overflow);
        }
        let event = self.receiver.try_recv().ok()?;
        self.taken(&event);
        Some(event)
    }

    fn taken(&self, event: &LiveEvent) {
        if let LiveEvent::Entry(_, entry, _) = event {
            self.shared
                .waiting_bytes
                .fetch_sub(entry.payload.len(), Ordering::SeqCst);
        }
    }
}

impl Shared {
    fn wanted(&self) -> MutexGuard<'_, HashSet<LtmId>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an entry, or notes that there was no room.
    fn offer(&self, sender: &mpsc::Sender<LiveEvent>, id: LtmId, entry: Entry, appended: u64) {
        let bytes = entry.payload.len();
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::SeqCst);
        let fits = waiting == 0 || waiting + bytes <= self.max_bytes;
        let event = LiveEvent::Entry(id, entry, appended);
        if !fits || sender.try_send(event).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.overflow.store(true, Ordering::SeqCst);
        }
    }
}

/// The task that holds the connection.
struct Listener {
    redis: Redis,
    shared: Arc<Shared>,
    sender: mpsc::Sender<LiveEvent>,
}

/// What the connection's reader tells the task beside entries.
enum Signal {
    Echo,
    Disconnected,
}

impl Listener {
    async fn run(self) {
        let mut pauses = reconnect_pauses();
        while !self.sender.is_closed() {
            let began = Instant::now();
            let cause = self.listen().await;
            self.shared.hears.store(false, Ordering::SeqCst);
            self.redis.metrics().live_ended();
            if began.elapsed() > PROBE_INTERVAL * 2 {
                pauses = reconnect_pauses();
            }
            let pause = pauses.next().unwrap_or_default();
            tracing::warn!(
                redis = self.redis.settings().shown_place(),
                cause,
                ?pause,
                "the live connection to Redis ended; connecting again"
            );
            tokio::select! {
                () = sleep(pause) => {}
                () = self.sender.closed() => {}
            }
        }
    }

    /// Connects and listens until something fails; gives the cause.
    async fn listen(&self) -> String {
        let probe = format!("ltm:probe:{}", Uuid::new_v4());
        let (signal, signals) = mpsc::channel(64);
        let config = self
            .redis
            .settings()
            .connection_config()
            .set_push_sender(self.reader(probe.clone(), signal));
        let leader = self.redis.leader();
        let (address, connection) = match leader.connect(&config).await {
            Ok(connected) => connected,
            Err(error) => return error.to_string(),
        };
        tokio::select! {
            cause = self.hold(connection, &probe, signals) => cause,
            () = leader.moved_from(&address) => "another Redis leads".into(),
        }
    }

    /// What runs in the connection's reader for each message: it must not wait.
    fn reader(
        &self,
        probe: String,
        signal: mpsc::Sender<Signal>,
    ) -> impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + use<> {
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        move |push: PushInfo| {
            match push.kind {
                PushKind::Message => match read_message(push.data) {
                    Some((channel, _)) if channel == probe => {
                        // A full queue means that an earlier sign has not been read yet.
                        let _ = signal.try_send(Signal::Echo);
                    }
                    Some((channel, payload)) => {
                        match (keys::live_id(&channel), Entry::from_live(&payload)) {
                            (Some(id), Some((entry, appended))) => {
                                shared.offer(&sender, id, entry, appended);
                            }
                            _ => shared.overflow.store(true, Ordering::SeqCst),
                        }
                    }
                    None => shared.overflow.store(true, Ordering::SeqCst),
                },
                PushKind::Disconnection => {
                    let _ = signal.try_send(Signal::Disconnected);
                }
                _ => {}
            }
            Ok(())
        }
    }

    async fn hold(
        &self,
        mut connection: MultiplexedConnection,
        probe: &str,
        mut signals: mpsc::Receiver<Signal>,
    ) -> String {
        if let Err(error) = connection.subscribe(probe).await {
            return error.to_string();
        }
        let mut subscribed = HashSet::new();
        let mut probes = interval(PROBE_INTERVAL);
        let mut heard = Instant::now();
        loop {
            if let Err(error) = self.resubscribe(&mut connection, &mut subscribed).await {
                return error.to_string();
            }
            tokio::select! {
                () = self.shared.changed.notified() => {}
                signal = signals.recv() => match signal {
                    Some(Signal::Echo) => {
                        heard = Instant::now();
                        if !self.shared.hears.swap(true, Ordering::SeqCst) {
                            tracing::info!(redis = self.redis.settings().shown_place(), "listening to Redis");
                        }
                    }
                    Some(Signal::Disconnected) | None => return "disconnected".into(),
                },
                _ = probes.tick() => {
                    if heard.elapsed() > PROBE_INTERVAL + self.redis.settings().response_timeout {
                        return "deaf: a message to its own channel did not come back".into();
                    }
                    self.send_probe(probe).await;
                }
                () = self.sender.closed() => return "no longer needed".into(),
            }
        }
    }

    /// Publishes a message that must come back. It goes by the other connection, as entries do.
    async fn send_probe(&self, probe: &str) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(probe).arg("");
        // A failure shows in that nothing comes back.
        let _ = timeout(
            self.redis.settings().response_timeout,
            self.redis.query::<Value>(&publish),
        )
        .await;
    }

    /// Brings the subscriptions to what is wanted, batch by batch.
    async fn resubscribe(
        &self,
        connection: &mut MultiplexedConnection,
        subscribed: &mut HashSet<LtmId>,
    ) -> Result<(), redis::RedisError> {
        let (gone, new) = {
            let wanted = self.shared.wanted();
            let gone: Vec<LtmId> = subscribed.difference(&wanted).copied().collect();
            let new: Vec<LtmId> = wanted.difference(subscribed).copied().collect();
            (gone, new)
        };
        for batch in gone.chunks(BATCH) {
            connection.unsubscribe(channels(batch)).await?;
            subscribed.retain(|id| !batch.contains(id));
        }
        for batch in new.chunks(BATCH) {
            connection.subscribe(channels(batch)).await?;
            subscribed.extend(batch);
            // Waits for room: the receiver takes events or is gone.
            let _ = self
                .sender
                .send(LiveEvent::Subscribed(batch.to_vec()))
                .await;
        }
        Ok(())
    }
}

fn channels(ids: &[LtmId]) -> Vec<String> {
    ids.iter().map(|&id| keys::live(id)).collect()
}

/// The channel and the payload of a message.
fn read_message(data: Vec<Value>) -> Option<(String, ByteString)> {
    let [channel, payload] = <[Value; 2]>::try_from(data).ok()?;
    let (Value::BulkString(channel), Value::BulkString(payload)) = (channel, payload) else {
        return None;
    };
    Some((
        String::from_utf8(channel).ok()?,
        ByteString::try_from(payload).ok()?,
    ))
}
