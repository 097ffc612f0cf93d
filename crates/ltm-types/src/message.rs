//! The messages that a subscriber receives, as JSON text.
//!
//! A gateway encodes a message once, when its entry arrives; every subscriber gets the same bytes.

use bytestring::ByteString;
use serde::Serialize;

use crate::{Cursor, Entry, Kind, LtmId};

/// One message, ready to send, and the cursor of a subscriber that has received it.
#[derive(Clone, Debug)]
pub struct EncodedMessage {
    /// The subscriber's cursor after this message.
    pub cursor: Cursor,
    /// The cursor before it: the message is only for a subscriber with this cursor.
    pub previous: Cursor,
    /// Whether the log ends with this message.
    pub last: bool,
    /// The JSON text; empty if the entry means nothing to subscribers, so that the gateway sends nothing.
    pub text: ByteString,
}

/// Why a subscriber gets a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetReason {
    /// The subscriber asked for it, with `init=state`.
    Requested,
    /// Retention has removed the entries after its cursor.
    Trimmed,
    /// The log no longer contains its cursor: it was lost in a failover, or the log was recreated.
    Forked,
}

impl ResetReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Requested, Self::Trimmed, Self::Forked];

    /// The reason as messages spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Trimmed => "trimmed",
            Self::Forked => "forked",
        }
    }
}

/// An empty message, for an entry that means nothing to subscribers. Only the cursor advances.
pub fn skipped_message(previous: Cursor, cursor: Cursor) -> EncodedMessage {
    EncodedMessage {
        cursor,
        previous,
        last: false,
        text: ByteString::new(),
    }
}

/// The message for `entry`, which follows `previous` in the log of `id`. [`Entry::content`] of the entry is
/// valid.
pub fn entry_message(id: LtmId, previous: Cursor, entry: &Entry) -> EncodedMessage {
    let Entry {
        cursor,
        kind,
        payload,
    } = entry;
    let text = match kind {
        Kind::Deleted => deleted_message(id, *cursor),
        // The members of the payload are members of the message.
        Kind::Rollback => {
            let payload = payload.trim_ascii_start();
            let members = payload.strip_prefix('{').unwrap_or(payload);
            format!(r#"{{"id":{id},"cursor":"{cursor}",{members}"#).into()
        }
        Kind::Snapshot | Kind::Error => {
            format!(r#"{{"id":{id},"cursor":"{cursor}","{kind}":{payload}}}"#).into()
        }
        Kind::Other(_) => ByteString::new(),
    };
    EncodedMessage {
        cursor: *cursor,
        previous,
        last: *kind == Kind::Deleted,
        text,
    }
}

/// The message with the full state at `cursor`. `state` is the text of a JSON object.
pub fn reset_message(
    id: LtmId,
    cursor: Cursor,
    reason: ResetReason,
    state: &str,
    snapshots_count: u64,
) -> EncodedMessage {
    let reason = reason.as_str();
    let text = format!(
        r#"{{"id":{id},"cursor":"{cursor}","reset":{{"reason":"{reason}","state":{state},"snapshots_count":{snapshots_count}}}}}"#
    );
    EncodedMessage {
        cursor,
        previous: cursor,
        last: false,
        text: text.into(),
    }
}

/// The message for a subscriber at `previous` if the LTM was deleted and its log is gone.
pub fn gone_message(id: LtmId, previous: Cursor, cursor: Cursor) -> EncodedMessage {
    EncodedMessage {
        cursor,
        previous,
        last: true,
        text: deleted_message(id, cursor),
    }
}

/// The text of the message that the LTM was deleted.
fn deleted_message(id: LtmId, cursor: Cursor) -> ByteString {
    format!(r#"{{"id":{id},"cursor":"{cursor}","deleted":true}}"#).into()
}

/// The text of the message that the subscriber has caught up.
pub fn live_message(id: LtmId, cursor: Cursor) -> ByteString {
    format!(r#"{{"id":{id},"cursor":"{cursor}","live":true}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_json_object_with_id_and_cursor() {
        let id = LtmId::new(u64::MAX).unwrap();
        let entry = Entry::after(Cursor::ORIGIN, Kind::Snapshot, r#"{"n":1.00}"#.into());
        let message = entry_message(id, Cursor::ORIGIN, &entry);
        let reset = reset_message(id, entry.cursor, ResetReason::Forked, r#"{"a":0.10}"#, 1);
        for text in [
            &message.text,
            &reset.text,
            &deleted_message(id, entry.cursor),
            &live_message(id, entry.cursor),
        ] {
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(json["id"], serde_json::json!(u64::MAX));
            assert_eq!(json["cursor"], serde_json::json!(entry.cursor.to_string()));
        }
        assert!(message.text.ends_with(r#""snapshot":{"n":1.00}}"#));
        assert!(
            reset
                .text
                .contains(r#""reset":{"reason":"forked","state":{"a":0.10},"snapshots_count":1}"#)
        );
    }

    #[test]
    fn a_rollback_says_its_snapshot_index_beside_itself() {
        let payload = r#"{"snapshot_index":5,"rollback":{"time":"T","reason":"manual","patch":[],"snapshots_count":6}}"#;
        let entry = Entry::after(Cursor::ORIGIN, Kind::Rollback, payload.into());
        let message = entry_message(LtmId::new(42).unwrap(), Cursor::ORIGIN, &entry);
        let message: serde_json::Value = serde_json::from_str(&message.text).unwrap();
        assert_eq!(message["id"], 42);
        assert_eq!(message["cursor"], entry.cursor.to_string());
        assert_eq!(message["snapshot_index"], 5);
        assert_eq!(message["rollback"]["reason"], "manual");
    }

    #[test]
    fn an_entry_of_a_future_kind_moves_the_cursor_and_says_nothing() {
        let entry = Entry::after(Cursor::ORIGIN, Kind::from_name("labelled"), "{}".into());
        let message = entry_message(LtmId::new(1).unwrap(), Cursor::ORIGIN, &entry);
        assert!(message.text.is_empty());
        assert_eq!(message.cursor, entry.cursor);
    }
}
