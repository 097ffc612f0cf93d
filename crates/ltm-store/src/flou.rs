//! The channels on which Flou's engines publish: one per LTM and kind, such as `ltm:42:execute`.
//!
//! Redis does not store published messages. A message that is published while the connection is down is lost.

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
    task::JoinHandle,
    time::{Instant, interval, sleep},
};

use crate::{error::StoreError, redis::client::reconnect_pauses, redis::settings::RedisSettings};

/// The channels of all LTMs.
const PATTERN: &str = "ltm:*";
/// The kinds of messages.
const KINDS: [&str; 5] = ["start", "execute", "transition", "rollback", "error"];
/// The most messages that wait for the receiver. More messages are lost, and reported.
const MAX_WAITING: usize = 16 * 1024;
/// The interval of PING, which shows whether the connection works.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// A message on the channels, or a change of the connection.
#[derive(Debug)]
pub enum Published {
    /// The connection is up: every later message is received.
    Listening,
    /// A message of an LTM, as text.
    Message(LtmId, ByteString),
    /// The connection is down, for this reason. Messages are lost until the next [`Published::Listening`].
    Disconnected(String),
    /// Messages were lost, because the receiver was too slow.
    Lost,
}

/// A subscription to the channels of all LTMs.
pub struct FlouChannels {
    receiver: mpsc::Receiver<Published>,
    /// Whether messages were lost since the last call of [`FlouChannels::next`].
    lost: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl FlouChannels {
    /// Subscribes, in a task that ends when the value is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Setting`] if the URL cannot be read.
    pub fn listen(settings: RedisSettings) -> Result<Self, StoreError> {
        let client = Client::open(settings.connection_info()?)?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let lost = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(run(client, settings, sender, lost.clone()));
        Ok(Self {
            receiver,
            lost,
            task,
        })
    }

    /// The next message, in the order of publication; `None` if the runtime shuts down.
    ///
    /// # Panics
    ///
    /// If the task panicked.
    pub async fn next(&mut self) -> Option<Published> {
        if self.lost.swap(false, Ordering::SeqCst) {
            return Some(Published::Lost);
        }
        if let Some(published) = self.receiver.recv().await {
            return Some(published);
        }
        if let Err(error) = (&mut self.task).await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
        None
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
        if sender.send(Published::Disconnected(cause)).await.is_err() {
            return;
        }
        if began.elapsed() > PING_INTERVAL * 2 {
            pauses = reconnect_pauses();
        }
        sleep(pauses.next().unwrap_or_default()).await;
    }
}

/// Receives messages until the connection fails, or the receiver is dropped.
async fn listen(
    client: &Client,
    settings: &RedisSettings,
    sender: &mpsc::Sender<Published>,
    lost: &Arc<AtomicBool>,
) -> Result<(), RedisError> {
    let (disconnect, mut disconnected) = mpsc::channel(1);
    let handler = push_handler(sender.clone(), lost.clone(), disconnect);
    let config = settings.connection_config().set_push_sender(handler);
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

/// The connection calls this for each message. It must not wait.
fn push_handler(
    sender: mpsc::Sender<Published>,
    lost: Arc<AtomicBool>,
    disconnect: mpsc::Sender<()>,
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
                let _ = disconnect.try_send(());
            }
            _ => {}
        }
        Ok(())
    }
}

/// The LTM and the text of a message; `None` if Flou did not publish it.
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
    fn only_the_channels_of_flou_are_read() {
        let message = |channel: &str| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            read(vec![text(PATTERN), text(channel), text("{}")])
        };
        let (id, text) = message("ltm:42:execute").unwrap();
        assert_eq!((id.get(), &*text), (42, "{}"));
        for channel in [
            "ltm:0:{42}:live",
            "ltm:42:other",
            "ltm:x:start",
            "ltm:42",
            "ltm::start",
        ] {
            assert!(message(channel).is_none(), "{channel}");
        }
    }
}
