//! The answers of `/sse`: each event is a message of a WebSocket, and its id is the cursor of the message.

use bytes::Bytes;
use ltm_types::LtmId;
use serde_json::json;

use crate::{
    dialect::answer::{Dialect, Events, Then},
    subscriber::close::CloseCause,
};

/// The messages as they are.
pub(crate) struct Messages;

impl Dialect for Messages {
    fn message(&self, text: Vec<Bytes>, events: &mut Events) -> Then {
        write_event(text, events);
        Then::Continue
    }

    fn end(&self, id: Option<LtmId>, cause: &CloseCause, events: &mut Events) {
        let data = json!({"id": id, "end": cause.to_json()});
        let last = format!("event: end\ndata: {data}\n\n");
        events.write(last.as_bytes());
    }
}

/// Writes one event. Line ends in the text are white space between JSON tokens, so spaces can replace them.
fn write_event(text: Vec<Bytes>, events: &mut Events) {
    if let Some(cursor) = text.first().and_then(|part| cursor_of(part)) {
        events.write(b"id: ");
        events.write(cursor);
        events.write(b"\n");
    }
    events.write(b"data: ");
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let is_large = text.len() > 1;
    for part in text {
        if part.iter().any(is_line_end) {
            let line = |byte: &u8| if is_line_end(byte) { b' ' } else { *byte };
            events.write(&part.iter().map(line).collect::<Vec<u8>>());
        } else if is_large {
            events.share(part);
        } else {
            events.write(&part);
        }
    }
    events.write(b"\n\n");
}

/// The cursor of a message. It is the first member of a message about a list. Otherwise it is the second one, after the
/// id, which is a number: so the first match is it.
fn cursor_of(text: &[u8]) -> Option<&[u8]> {
    const FIRST: &[u8] = br#"{"cursor":""#;
    const NAME: &[u8] = br#","cursor":""#;
    let rest = match text.strip_prefix(FIRST) {
        Some(rest) => rest,
        None => {
            let begin = text.windows(NAME.len()).position(|part| part == NAME)? + NAME.len();
            text.get(begin..)?
        }
    };
    let end = rest.iter().position(|&byte| byte == b'"')?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::frames::{Frames, texts};

    #[test]
    fn a_message_is_one_event_with_its_cursor_whatever_its_size() {
        let large = "x".repeat(40_000);
        let first = format!("{{\"id\":7,\"cursor\":\"1-2\",\"snapshot\":\n\"{large}\"}}");
        let second = r#"{"id":7,"cursor":"2-3","live":true}"#;
        let frames = |text: &str| Frames::plain(text).uncompressed().clone();
        let both = [frames(&first), frames(second)].concat().into();
        let mut events = Events::default();
        for text in texts(&both) {
            assert_eq!(Messages.message(text, &mut events), Then::Continue);
        }
        let sent = std::iter::from_fn(|| events.take()).flatten();
        let sent: Vec<u8> = sent.collect();
        assert_eq!(events.bytes(), 0);
        let one_line = first.replace('\n', " ");
        let expected = format!("id: 1-2\ndata: {one_line}\n\nid: 2-3\ndata: {second}\n\n");
        assert_eq!(sent, expected.as_bytes());
    }
}
