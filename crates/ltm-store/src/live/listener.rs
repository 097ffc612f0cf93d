//! The task that holds one live connection.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytestring::ByteString;
use ltm_types::{Entry, LtmId, keys};
use redis::{PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, interval, sleep, timeout},
};

use uuid::Uuid;

use super::{
    Hearing, LiveEvent, Shared,
    shards::Shard,
    subscriptions::{subscribe, unsubscribe},
};
use crate::{
    redis::cluster::Topology,
    redis::connection::{Redis, reconnect_pauses},
};

/// How often the connection is probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Why a connection ends whose server no longer publishes for an LTM.
const MOVED: &str = "slots were moved away from it";

/// Listens to one server: the one that leads, or one of a cluster's.
pub(super) struct Listener {
    redis: Redis,
    shared: Arc<Shared>,
    sender: mpsc::Sender<LiveEvent>,
    /// What the server is called in logs.
    server: Arc<str>,
    /// Which one of a cluster it is.
    shard: Option<Shard>,
}

/// What the connection's reader tells the task beside entries.
enum Signal {
    Echo,
    Disconnected,
    /// The server takes an LTM's channel away: its slot is on the move.
    Moved,
}

impl Listener {
    /// For the server that leads.
    pub(super) fn of_one(
        redis: Redis,
        shared: Arc<Shared>,
        sender: mpsc::Sender<LiveEvent>,
    ) -> Self {
        let server = redis.settings().shown_place().into();
        Self {
            redis,
            shared,
            sender,
            server,
            shard: None,
        }
    }

    /// For one of a cluster's primaries.
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
            server: shard.node().to_string().into(),
            shard: Some(shard),
        }
    }

    /// Listens until nobody takes the events any more, or the server has no slots any more.
    pub(super) async fn run(self) {
        self.shared.note(&self.server, Hearing::Deaf);
        let mut pauses = reconnect_pauses();
        while self.is_needed() {
            let began = Instant::now();
            let cause = self.listen().await;
            self.redis.metrics().live_ended();
            if !self.is_needed() {
                break;
            }
            if began.elapsed() > PROBE_INTERVAL * 2 {
                pauses = reconnect_pauses();
            }
            let pause = pauses.next().unwrap_or_default();
            tracing::warn!(
                redis = &*self.server,
                cause,
                ?pause,
                "the live connection to Redis ended; connecting again"
            );
            tokio::select! {
                () = sleep(pause) => {}
                () = self.sender.closed() => {}
            }
        }
        self.shared.hearing().remove(&self.server);
    }

    fn is_needed(&self) -> bool {
        !self.sender.is_closed() && self.shard.as_ref().is_none_or(Shard::is_primary)
    }

    /// Connects and listens until something fails; gives the cause.
    async fn listen(&self) -> String {
        let tag = self.shard.as_ref().map_or(Some(0), Shard::tag);
        let Some(tag) = tag else {
            return "it has no slots".into();
        };
        let probe = keys::probe(tag, Uuid::new_v4());
        let (signal, signals) = mpsc::channel(64);
        let config = self
            .redis
            .settings()
            .connection_config()
            .set_push_sender(self.reader(probe.clone(), signal));
        let primary = self.redis.primary();
        let connected = match &self.shard {
            None => primary.connect(&config).await,
            Some(shard) => {
                let connection = shard.connect(self.redis.settings(), &config).await;
                connection.map(|connection| (self.server.clone(), connection))
            }
        };
        let (address, connection) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                self.shared.note(&self.server, Hearing::Away);
                return error.to_string();
            }
        };
        self.shared.note(&self.server, Hearing::Deaf);
        let cause = tokio::select! {
            cause = self.hold(connection, &probe, signals) => cause,
            () = primary.moved_from(&address), if self.shard.is_none() => "another Redis leads".into(),
        };
        self.shared.note(&self.server, Hearing::Deaf);
        cause
    }

    /// What runs in the connection's reader for each message: it must not wait.
    fn reader(
        &self,
        probe: String,
        signal: mpsc::Sender<Signal>,
    ) -> impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + use<> {
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        // A full queue means that an earlier sign has not been read yet.
        let tell = move |what| drop(signal.try_send(what));
        move |push: PushInfo| {
            match push.kind {
                PushKind::Message | PushKind::SMessage => match read_message(push.data) {
                    Some((channel, _)) if channel == probe => tell(Signal::Echo),
                    Some((channel, payload)) => {
                        match (keys::live_id(&channel), Entry::from_live(&payload)) {
                            (Some(id), Some((entry, appended))) => {
                                shared.offer(&sender, id, entry, appended);
                            }
                            _ => shared.note_overflow(),
                        }
                    }
                    None => shared.note_overflow(),
                },
                PushKind::SUnsubscribe if is_wanted(&shared, &push.data) => tell(Signal::Moved),
                PushKind::Disconnection => tell(Signal::Disconnected),
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
        let sharded = self.shard.is_some();
        let channel = [probe.to_owned()];
        if let Err(error) = subscribe(&mut connection, &channel, sharded).await {
            return error.to_string();
        }
        let mut subscribed = HashSet::new();
        let mut probes = interval(PROBE_INTERVAL);
        let mut heard = Instant::now();
        let mut changes = self.shared.changes.subscribe();
        let mut moves = self.shard.as_ref().map(Shard::moves);
        loop {
            changes.borrow_and_update();
            if let Err(error) = self.resubscribe(&mut connection, &mut subscribed).await {
                return error.to_string();
            }
            tokio::select! {
                // It ends with `self`, which outlives this.
                _ = changes.changed() => {}
                () = moved(&mut moves) => {
                    if !self.is_needed() || subscribed.iter().any(|id| !self.has(*id)) {
                        return MOVED.into();
                    }
                }
                signal = signals.recv() => match signal {
                    Some(Signal::Echo) => {
                        heard = Instant::now();
                        if self.shared.note(&self.server, Hearing::Good) != Some(Hearing::Good) {
                            tracing::info!(redis = &*self.server, "listening to Redis");
                        }
                    }
                    Some(Signal::Moved) => return MOVED.into(),
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
        let mut publish = redis::cmd(self.redis.publish_command());
        publish.arg(probe).arg("");
        // A failure shows in that nothing comes back.
        let _ = timeout(
            self.redis.settings().response_timeout,
            self.redis.query::<Value>(&publish),
        )
        .await;
    }

    /// Whether this is the server that publishes what is appended to an LTM.
    fn has(&self, id: LtmId) -> bool {
        self.shard.as_ref().is_none_or(|shard| shard.has(id))
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
            let new = wanted.difference(subscribed).filter(|id| self.has(**id));
            (gone, new.copied().collect::<Vec<_>>())
        };
        let sharded = self.shard.is_some();
        for batch in gone.chunks(super::BATCH) {
            unsubscribe(connection, &channels(batch), sharded).await?;
            subscribed.retain(|id| !batch.contains(id));
        }
        for batch in new.chunks(super::BATCH) {
            subscribe(connection, &channels(batch), sharded).await?;
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

/// Waits until slots have moved; for ever where there are none.
async fn moved(moves: &mut Option<watch::Receiver<Topology>>) {
    // Where nobody tells any more, this listener is not needed either, and is ended.
    let told = match moves {
        Some(moves) => moves.changed().await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending().await
    }
}

fn channels(ids: &[LtmId]) -> Vec<String> {
    ids.iter().map(|&id| keys::live(id)).collect()
}

/// Whether somebody wants the LTM whose channel a push is about.
fn is_wanted(shared: &Shared, data: &[Value]) -> bool {
    let Some(Value::BulkString(channel)) = data.first() else {
        return false;
    };
    let id = std::str::from_utf8(channel).ok().and_then(keys::live_id);
    id.is_some_and(|id| shared.wanted().contains(&id))
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
