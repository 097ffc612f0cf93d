//! The JSON protocol of Centrifugo over a WebSocket: several lines per frame, each one command, reply or push.

use memchr::memmem;

/// A ping of the server, and the answer of a client.
pub(crate) const PING: &[u8] = b"{}";

/// The number of the command that subscribes.
const SUBSCRIBE: u32 = 2;

/// A line from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A message on the channel.
    Publication(&'a [u8]),
    /// A ping, which the client has to answer with the same text.
    Ping,
    /// A reply to a command.
    Reply,
    /// Anything else; the load expects nothing else.
    Other(&'a [u8]),
}

/// The lines of a frame.
pub(crate) fn lines(payload: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let lines = payload.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| match line {
            PING => Line::Ping,
            _ if line.starts_with(br#"{"id":"#) => Line::Reply,
            _ if memmem::find(line, br#""pub":"#).is_some() => Line::Publication(line),
            _ => Line::Other(line),
        })
}

/// The first text of a subscriber: it connects, and subscribes to a channel.
pub(crate) fn hello(channel: &str) -> String {
    format!(
        "{{\"id\":1,\"connect\":{{}}}}\n{{\"id\":{SUBSCRIBE},\"subscribe\":{{\"channel\":\"{channel}\"}}}}"
    )
}

/// Whether the server has answered `hello`. The error is the answer if the server refused.
pub(crate) fn welcomed(received: &[u8]) -> Result<bool, String> {
    let has = |text: &str| memmem::find(received, text.as_bytes()).is_some();
    if has(r#""error":"#) {
        return Err(String::from_utf8_lossy(received).into_owned());
    }
    Ok(has(&format!(r#"{{"id":{SUBSCRIBE},"subscribe":"#)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_may_have_a_ping_among_its_messages() {
        let push = br#"{"push":{"channel":"1","pub":{"data":{"cursor":"1-0"},"offset":1}}}"#;
        let frame = [&push[..], b"{}", br#"{"id":2,"subscribe":{}}"#, push].join(&b'\n');
        let found: Vec<_> = lines(&frame).collect();
        let publication = || Line::Publication(push);
        assert_eq!(
            found,
            [publication(), Line::Ping, Line::Reply, publication()]
        );
        let other = br#"{"push":{"channel":"1","unsubscribe":{"code":2500}}}"#;
        assert_eq!(lines(other).collect::<Vec<_>>(), [Line::Other(other)]);
    }

    #[test]
    fn a_subscriber_is_welcome_once_its_channel_is_and_never_after_an_error() {
        assert_eq!(welcomed(br#"{"id":1,"connect":{"ping":25}}"#), Ok(false));
        assert_eq!(welcomed(br#"{"id":2,"subscribe":{}}"#), Ok(true));
        let refused = r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#;
        assert_eq!(welcomed(refused.as_bytes()), Err(refused.into()));
    }
}
