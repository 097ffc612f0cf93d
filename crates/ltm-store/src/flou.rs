//! What an engine of the reference publishes: one channel per LTM and kind, `ltm:42:execute`.
//!
//! It is pub/sub: what is published while nobody listens is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use ltm_types::LtmId;
use redis::{
    Client, PushInfo, PushKind, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection, SendError},
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep},
};

use crate::{
    error::StoreError, redis::connection::reconnect_pauses, redis::settings::RedisSettings,
};

/// The channels of all LTMs.
const PATTERN: &str = "ltm:*";
/// The kinds of messages that there are.
const KINDS: [&str; 5] = ["start", "execute", "transition", "rollback", "error"];
/// How many messages may wait at most; more are lost, and said to be.
const MAX_WAITING: usize = 16 * 1024;
/// How often the connection is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// What is heard.
#[derive(Debug)]
pub enum Published {
    /// From now on everything is heard.
    Listening,
    /// What an LTM published, as text.
    Message(LtmId, ByteString),
    /// From now on nothing is heard until it is [`Published::Listening`] again.
    Deaf(String),
    /// Messages were lost, because they came faster than they were taken.
    Lost,
}

/// What the engines of the reference publish.
pub struct FlouChannels {
    receiver: mpsc::Receiver<Published>,
    /// Set where a message found no room.
    lost: Arc<AtomicBool>,
}

impl FlouChannels {
    /// Begins to listen, in a task of its own that ends when this is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Setting`] if the URL cannot be read.
    pub fn listen(settings: RedisSettings) -> Result<Self, StoreError> {
        let client = Client::open(settings.connection_info()?)?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let lost = Arc::new(AtomicBool::new(false));
        tokio::spawn(run(client, settings, sender, lost.clone()));
        Ok(Self { receiver, lost })
    }

    /// What is heard next, in the order in which it was published.
    pub async fn next(&mut self) -> Option<Published> {
        if self.lost.swap(false, Ordering::SeqCst) {
            return Some(Published::Lost);
        }
        self.receiver.recv().await
    }
}

async fn run(
    client: Client,
    settings: RedisSettings,
    sender: mpsc::Sender<Published>,
    lost: Arc<AtomicBool>,
) {
    let mut pauses = reconnect_pauses();
    while !sender.is_closed() {
        let began = Instant::now();
        let cause = match listen(&client, &settings, &sender, &lost).await {
            Ok(()) => "disconnected".to_owned(),
            Err(error) => error.to_string(),
        };
        if sender.send(Published::Deaf(cause)).await.is_err() {
            return;
        }
        if began.elapsed() > PING_INTERVAL * 2 {
            pauses = reconnect_pauses();
        }
        sleep(pauses.next().unwrap_or_default()).await;
    }
}

/// Listens until the connection fails or nobody wants it any more.
async fn listen(
    client: &Client,
    settings: &RedisSettings,
    sender: &mpsc::Sender<Published>,
    lost: &Arc<AtomicBool>,
) -> Result<(), RedisError> {
    let (gone, mut disconnected) = mpsc::channel(1);
    let config =
        settings
            .connection_config()
            .set_push_sender(reader(sender.clone(), lost.clone(), gone));
    let mut connection: MultiplexedConnection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    connection.psubscribe(PATTERN).await?;
    let _ = sender.send(Published::Listening).await;
    let mut pings = interval(PING_INTERVAL);
    loop {
        tokio::select! {
            _ = pings.tick() => {
                connection.req_packed_command(&redis::cmd("PING")).await?;
            }
            _ = disconnected.recv() => return Ok(()),
            () = sender.closed() => return Ok(()),
        }
    }
}

/// What runs in the connection's reader for each message: it must not wait.
fn reader(
    sender: mpsc::Sender<Published>,
    lost: Arc<AtomicBool>,
    gone: mpsc::Sender<()>,
) -> impl Fn(PushInfo) -> Result<(), SendError> {
    move |push| {
        match push.kind {
            PushKind::PMessage => {
                if let Some((id, text)) = read(push.data)
                    && sender.try_send(Published::Message(id, text)).is_err()
                {
                    lost.store(true, Ordering::SeqCst);
                }
            }
            PushKind::Disconnection => {
                let _ = gone.try_send(());
            }
            _ => {}
        }
        Ok(())
    }
}

/// The LTM and the text of a message; `None` for what is published by others.
fn read(data: Vec<Value>) -> Option<(LtmId, ByteString)> {
    let [_pattern, channel, payload] = <[Value; 3]>::try_from(data).ok()?;
    let (Value::BulkString(channel), Value::BulkString(payload)) = (channel, payload) else {
        return None;
    };
    let channel = String::from_utf8(channel).ok()?;
    let (id, kind) = channel.strip_prefix("ltm:")?.split_once(':')?;
    KINDS.contains(&kind).then_some(())?;
    Some((id.parse().ok()?, payload.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_channels_of_the_reference_are_read() {
        let message = |channel: &str| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            read(vec![text(PATTERN), text(channel), text("{}")])
        };
        let (id, text) = message("ltm:42:execute").unwrap();
        assert_eq!((id.get(), &*text), (42, "{}"));
        for channel in [
            "ltm:{42}:live",
            "ltm:42:other",
            "ltm:x:start",
            "ltm:42",
            "ltm::start",
        ] {
            assert!(message(channel).is_none(), "{channel}");
        }
    }
}
