//! One live connection: it subscribes to the channels of the followed LTMs, and queues the entries that arrive.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytestring::ByteString;
use ltm_types::{Entry, LtmId, keys};
use redis::{PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, interval, sleep},
};
use uuid::Uuid;

use super::{
    shard::Shard,
    shared::{Health, LiveEvent, Shared},
    subscriptions::{subscribe, unsubscribe},
    wanted::Wanted,
};
use crate::{
    redis::client::{Redis, reconnect_pauses},
    redis::cluster::Topology,
};

/// The most channels in one command.
const BATCH: usize = 512;
/// How often the connection publishes a probe to its own channel.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Why a connection ends if its server no longer has a followed LTM.
const MOVED: &str = "its slots were moved to another server";

/// Listens to one server: the primary, or one primary of a cluster.
pub(super) struct Listener {
    redis: Redis,
    shared: Arc<Shared>,
    sender: mpsc::Sender<LiveEvent>,
    /// The address of the server, for logs.
    address: Arc<str>,
    /// The server's part of a cluster.
    shard: Option<Shard>,
}

/// The LTMs that the connection subscribes to.
#[derive(Default)]
struct Subscribed {
    ids: HashSet<LtmId>,
    /// The version of the followed LTMs that these were compared with. `None`: all are to be compared.
    version: Option<u64>,
}

impl Subscribed {
    /// The LTMs that are no longer followed, and those that are new and that the server `has`.
    fn compare(
        &mut self,
        wanted: &Wanted,
        has: impl Fn(LtmId) -> bool,
    ) -> (Vec<LtmId>, Vec<LtmId>) {
        let changed = self.version.and_then(|it| wanted.changed_since(it));
        let only_changed = changed.is_some();
        let all = || wanted.ids().union(&self.ids).copied().collect();
        let (mut unwanted, mut new) = (Vec::new(), Vec::new());
        for id in changed.unwrap_or_else(all) {
            match (wanted.ids().contains(&id), self.ids.contains(&id)) {
                (false, true) => unwanted.push(id),
                // One that was left and is followed again is new, too: its follower waits for the event.
                (true, is_known) if (only_changed || !is_known) && has(id) => new.push(id),
                _ => {}
            }
        }
        self.version = Some(wanted.version());
        (unwanted, new)
    }
}

/// What the connection receives beside entries.
enum Signal {
    /// The probe came back.
    Probe,
    /// The connection is closed.
    Disconnected,
    /// The server ends the subscription to an LTM, because it no longer has its slot.
    SlotMoved,
}

impl Listener {
    /// A listener to the primary.
    pub(super) fn of_primary(
        redis: Redis,
        shared: Arc<Shared>,
        sender: mpsc::Sender<LiveEvent>,
    ) -> Self {
        let address = redis.settings().shown_address().into();
        Self {
            redis,
            shared,
            sender,
            address,
            shard: None,
        }
    }

    /// A listener to one primary of a cluster.
    pub(super) fn of_shard(
        redis: Redis,
        shared: Arc<Shared>,
        sender: mpsc::Sender<LiveEvent>,
        shard: Shard,
    ) -> Self {
        Self {
            redis,
            shared,
            sender,
            address: shard.node().to_string().into(),
            shard: Some(shard),
        }
    }

    /// Listens until the receiver of the events is dropped, or the server has no slots.
    pub(super) async fn run(self) {
        self.set_health(Health::Silent);
        let mut pauses = reconnect_pauses();
        while self.is_needed() {
            let began = Instant::now();
            let error = self.listen().await;
            self.redis.metrics().live_ended();
            if !self.is_needed() {
                break;
            }
            if began.elapsed() > PROBE_INTERVAL * 2 {
                pauses = reconnect_pauses();
            }
            let pause = pauses.next().unwrap_or_default();
            tracing::warn!(
                listener = self.shared.number,
                address = &*self.address,
                error,
                retry_in = ?pause,
                "the live connection to Redis ended; reconnecting"
            );
            tokio::select! {
                () = sleep(pause) => {}
                () = self.sender.closed() => {}
            }
        }
    }

    fn is_needed(&self) -> bool {
        !self.sender.is_closed() && self.shard.as_ref().is_none_or(Shard::is_primary)
    }

    fn set_health(&self, health: Health) -> Option<Health> {
        self.shared.set_health(&self.address, health)
    }

    /// Connects, and listens until something fails. Returns the cause.
    async fn listen(&self) -> String {
        let Some(tag) = self.shard.as_ref().map_or(Some(0), Shard::tag) else {
            return "it has no slots".into();
        };
        let probe = keys::probe(tag, Uuid::new_v4());
        let (signal, signals) = mpsc::channel(64);
        let settings = self.redis.settings();
        let config = settings
            .connection_config()
            .set_push_sender(self.push_handler(probe.clone(), signal));
        let primary = self.redis.primary();
        let connected = match &self.shard {
            None => primary.connect_to_server(&config).await,
            Some(shard) => {
                let connection = shard.connect(settings, &config).await;
                connection.map(|connection| (self.address.clone(), connection))
            }
        };
        let (address, connection) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                self.set_health(Health::Unreachable);
                return error.to_string();
            }
        };
        self.set_health(Health::Silent);
        let cause = tokio::select! {
            cause = self.hold(connection, &probe, signals) => cause,
            () = primary.moved_from(&address), if self.shard.is_none() => "another Redis is the primary".into(),
        };
        self.set_health(Health::Silent);
        cause
    }

    /// Makes the function that the connection calls for each message. The function must not wait.
    fn push_handler(
        &self,
        probe: String,
        signals: mpsc::Sender<Signal>,
    ) -> impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + use<> {
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        move |push| {
            let signal = match push.kind {
                PushKind::Message | PushKind::SMessage => {
                    receive(&shared, &sender, &probe, push.data)
                }
                PushKind::SUnsubscribe if is_wanted(&shared, &push.data) => Some(Signal::SlotMoved),
                PushKind::Disconnection => Some(Signal::Disconnected),
                _ => None,
            };
            if let Some(signal) = signal {
                // If the queue is full, the task has not read an earlier signal yet.
                let _ = signals.try_send(signal);
            }
            Ok(())
        }
    }

    /// Keeps the connection until something fails. Returns the cause.
    async fn hold(
        &self,
        mut connection: MultiplexedConnection,
        probe: &str,
        mut signals: mpsc::Receiver<Signal>,
    ) -> String {
        let channel = [probe.to_owned()];
        if let Err(error) = subscribe(&mut connection, &channel, self.shard.is_some()).await {
            return error.to_string();
        }
        let mut subscribed = Subscribed::default();
        let mut probes = interval(PROBE_INTERVAL);
        // When the first probe was published that has not come back.
        let mut unanswered: Option<Instant> = None;
        let mut changes = self.shared.changes.subscribe();
        let mut moves = self.shard.as_ref().map(Shard::moves);
        loop {
            changes.borrow_and_update();
            if let Err(error) = self.resubscribe(&mut connection, &mut subscribed).await {
                return error.to_string();
            }
            tokio::select! {
                // It cannot fail: `self` has the sender.
                _ = changes.changed() => {}
                () = slots_moved(&mut moves) => {
                    if !self.is_needed() || subscribed.ids.iter().any(|id| !self.has(*id)) {
                        return MOVED.into();
                    }
                    // It may have LTMs that it did not have before.
                    subscribed.version = None;
                }
                signal = signals.recv() => match signal {
                    Some(Signal::Probe) => {
                        unanswered = None;
                        self.probe_came_back();
                    }
                    Some(Signal::SlotMoved) => return MOVED.into(),
                    Some(Signal::Disconnected) | None => return "disconnected".into(),
                },
                _ = probes.tick() => {
                    let limit = PROBE_INTERVAL + self.redis.settings().response_timeout;
                    if unanswered.is_some_and(|since| since.elapsed() > limit) {
                        return "the probe did not come back".into();
                    }
                    self.publish_probe(probe).await;
                    unanswered.get_or_insert_with(Instant::now);
                }
                () = self.sender.closed() => return "no longer needed".into(),
            }
        }
    }

    fn probe_came_back(&self) {
        if self.set_health(Health::Receiving) != Some(Health::Receiving) {
            let listener = self.shared.number;
            tracing::info!(listener, address = &*self.address, "listening to Redis");
        }
    }

    /// Publishes a probe. It takes the connection for commands, as entries do. That connection has its own time limits: it
    /// takes longer to make than a command may take, if a Sentinel hangs.
    async fn publish_probe(&self, probe: &str) {
        let mut publish = redis::cmd(self.redis.publish_command());
        publish.arg(probe).arg("");
        // After a failure, the probe does not come back.
        let _ = self.redis.query::<Value>(&publish).await;
    }

    fn channels(&self, ids: &[LtmId]) -> Vec<String> {
        ids.iter().map(|&id| self.redis.live_channel(id)).collect()
    }

    /// Whether this server publishes the entries of an LTM.
    fn has(&self, id: LtmId) -> bool {
        self.shard.as_ref().is_none_or(|shard| shard.has(id))
    }

    /// Subscribes to the channels of newly followed LTMs, and unsubscribes from the others, batch by batch.
    async fn resubscribe(
        &self,
        connection: &mut MultiplexedConnection,
        subscribed: &mut Subscribed,
    ) -> Result<(), redis::RedisError> {
        let (unwanted, new) = subscribed.compare(&self.shared.wanted(), |id| self.has(id));
        let sharded = self.shard.is_some();
        for batch in unwanted.chunks(BATCH) {
            unsubscribe(connection, &self.channels(batch), sharded).await?;
            for id in batch {
                subscribed.ids.remove(id);
            }
        }
        for batch in new.chunks(BATCH) {
            subscribe(connection, &self.channels(batch), sharded).await?;
            subscribed.ids.extend(batch);
            // This waits until the queue has space. It fails if the receiver is dropped.
            let _ = self
                .sender
                .send(LiveEvent::Subscribed(batch.to_vec()))
                .await;
        }
        Ok(())
    }
}

impl Drop for Listener {
    /// Removes the health of its connection, even if the task panicked.
    fn drop(&mut self) {
        self.shared.health().remove(&self.address);
    }
}

/// Waits until slots have moved. Without a cluster, it waits forever.
async fn slots_moved(moves: &mut Option<watch::Receiver<Arc<Topology>>>) {
    // If the sender is dropped, nobody follows the topology. The listener then ends for another reason.
    let have_moved = match moves {
        Some(moves) => moves.changed().await.is_ok(),
        None => false,
    };
    if !have_moved {
        std::future::pending().await
    }
}

/// Queues the entry of a message. A message that cannot be read counts as an overflow. Returns a signal if the message
/// is the probe.
fn receive(
    shared: &Shared,
    sender: &mpsc::Sender<LiveEvent>,
    probe: &str,
    data: Vec<Value>,
) -> Option<Signal> {
    let Some((channel, payload)) = read_message(data) else {
        shared.set_overflow();
        return None;
    };
    if channel == probe {
        return Some(Signal::Probe);
    }
    match (keys::live_id(&channel), Entry::from_live(&payload)) {
        (Some(id), Some((entry, appended))) => shared.offer(sender, id, entry, appended),
        _ => shared.set_overflow(),
    }
    None
}

/// Whether the LTM of the channel in a push message is followed.
fn is_wanted(shared: &Shared, data: &[Value]) -> bool {
    let Some(Value::BulkString(channel)) = data.first() else {
        return false;
    };
    let id = std::str::from_utf8(channel).ok().and_then(keys::live_id);
    id.is_some_and(|id| shared.wanted().ids().contains(&id))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ltm_that_is_left_and_followed_again_at_once_is_new() {
        let [one, two]: [LtmId; 2] = ["1", "2"].map(|id| id.parse().unwrap());
        let (mut wanted, mut subscribed) = (Wanted::default(), Subscribed::default());
        wanted.add(one);
        let mut look = |wanted: &Wanted| {
            let (unwanted, new) = subscribed.compare(wanted, |_| true);
            subscribed.ids.retain(|id| !unwanted.contains(id));
            subscribed.ids.extend(&new);
            (unwanted, new)
        };
        assert_eq!(look(&wanted), (vec![], vec![one]));
        assert_eq!(look(&wanted), (vec![], vec![]));
        wanted.remove(one);
        wanted.add(one);
        assert_eq!(look(&wanted), (vec![], vec![one]));
        wanted.remove(one);
        wanted.add(two);
        assert_eq!(look(&wanted), (vec![one], vec![two]));
    }
}
