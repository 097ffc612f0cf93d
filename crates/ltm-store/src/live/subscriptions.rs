//! Starts and ends subscriptions on one connection.

use redis::{Cmd, RedisError, Value, aio::MultiplexedConnection};

/// Subscribes to these channels. Returns once Redis has confirmed all of them.
pub(super) async fn subscribe(
    connection: &mut MultiplexedConnection,
    channels: &[String],
    sharded: bool,
) -> Result<(), RedisError> {
    if sharded {
        return each(connection, "SSUBSCRIBE", channels).await;
    }
    connection.subscribe(channels).await
}

/// Unsubscribes from these channels.
pub(super) async fn unsubscribe(
    connection: &mut MultiplexedConnection,
    channels: &[String],
    sharded: bool,
) -> Result<(), RedisError> {
    if sharded {
        return each(connection, "SUNSUBSCRIBE", channels).await;
    }
    connection.unsubscribe(channels).await
}

/// Sends one command for each channel, because one command accepts only channels of one slot.
async fn each(
    connection: &mut MultiplexedConnection,
    name: &str,
    channels: &[String],
) -> Result<(), RedisError> {
    let mut pipeline = redis::pipe();
    for channel in channels {
        let mut cmd = Cmd::new();
        cmd.arg(name).arg(channel);
        pipeline.add_command(cmd);
    }
    let answers = connection.send_packed_commands(&pipeline, 0, channels.len());
    for answer in answers.await? {
        Value::extract_error(answer)?;
    }
    Ok(())
}
