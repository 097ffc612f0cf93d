//! The messages that a subscriber receives, as JSON text.
//!
//! A message is encoded once, when its entry arrives. All subscribers receive the same bytes.

use bytestring::ByteString;
use serde::Serialize;

use crate::{Cursor, Entry, Kind, LtmId};

/// One message that is ready to send, with the cursors of a subscriber before and after it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The subscriber's cursor after this message.
    pub cursor: Cursor,
    /// The cursor before it: a message is only for a subscriber at this cursor.
    pub previous: Cursor,
    /// Whether it ends the log.
    pub last: bool,
    /// The JSON text. It is empty if the entry has no meaning for subscribers; then nothing is sent.
    pub text: ByteString,
}

/// Why a subscriber must replace its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetReason {
    /// It asked for that with `init=state`.
    Requested,
    /// Retention removed the entries after its cursor.
    Trimmed,
    /// The log does not contain its cursor: a failover lost it, or the log was recreated.
    Forked,
}

impl ResetReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Requested, Self::Trimmed, Self::Forked];

    /// The reason in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Trimmed => "trimmed",
            Self::Forked => "forked",
        }
    }
}

/// The message for an entry without a meaning: nothing is sent, and the cursor advances.
pub fn passed_over(previous: Cursor, cursor: Cursor) -> Frame {
    Frame {
        cursor,
        previous,
        last: false,
        text: ByteString::new(),
    }
}

/// The message for `entry`, which follows `previous` in the log of `id` and has a valid [`Entry::content`].
pub fn entry_frame(id: LtmId, previous: Cursor, entry: &Entry) -> Frame {
    let Entry {
        cursor,
        kind,
        payload,
    } = entry;
    let text = match kind {
        Kind::Deleted => deleted_frame(id, *cursor),
        // Its members are beside the id and the cursor.
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
    Frame {
        cursor: *cursor,
        previous,
        last: *kind == Kind::Deleted,
        text,
    }
}

/// The message with the whole state at `cursor`. `state` is the text of a JSON object.
pub fn reset_frame(
    id: LtmId,
    cursor: Cursor,
    reason: ResetReason,
    state: &str,
    snapshots_count: u64,
) -> Frame {
    let reason = reason.as_str();
    let text = format!(
        r#"{{"id":{id},"cursor":"{cursor}","reset":{{"reason":"{reason}","state":{state},"snapshots_count":{snapshots_count}}}}}"#
    );
    Frame {
        cursor,
        previous: cursor,
        last: false,
        text: text.into(),
    }
}

/// The message for a subscriber at `previous` whose LTM was deleted and has no log any more.
pub fn gone_frame(id: LtmId, previous: Cursor, cursor: Cursor) -> Frame {
    Frame {
        cursor,
        previous,
        last: true,
        text: deleted_frame(id, cursor),
    }
}

/// The message that the LTM was deleted.
fn deleted_frame(id: LtmId, cursor: Cursor) -> ByteString {
    format!(r#"{{"id":{id},"cursor":"{cursor}","deleted":true}}"#).into()
}

/// The message that the subscriber has caught up with the head at the time of its connect.
pub fn live_frame(id: LtmId, cursor: Cursor) -> ByteString {
    format!(r#"{{"id":{id},"cursor":"{cursor}","live":true}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_json_object_with_id_and_cursor() {
        let id = LtmId::new(u64::MAX).unwrap();
        let entry = Entry::after(Cursor::ORIGIN, Kind::Snapshot, r#"{"n":1.00}"#.into());
        let frame = entry_frame(id, Cursor::ORIGIN, &entry);
        let reset = reset_frame(id, entry.cursor, ResetReason::Forked, r#"{"a":0.10}"#, 1);
        for text in [
            &frame.text,
            &reset.text,
            &deleted_frame(id, entry.cursor),
            &live_frame(id, entry.cursor),
        ] {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(message["id"], serde_json::json!(u64::MAX));
            assert_eq!(
                message["cursor"],
                serde_json::json!(entry.cursor.to_string())
            );
        }
        assert!(frame.text.ends_with(r#""snapshot":{"n":1.00}}"#));
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
        let frame = entry_frame(LtmId::new(42).unwrap(), Cursor::ORIGIN, &entry);
        let message: serde_json::Value = serde_json::from_str(&frame.text).unwrap();
        assert_eq!(message["id"], 42);
        assert_eq!(message["cursor"], entry.cursor.to_string());
        assert_eq!(message["snapshot_index"], 5);
        assert_eq!(message["rollback"]["reason"], "manual");
    }

    #[test]
    fn an_entry_of_a_future_kind_moves_the_cursor_and_says_nothing() {
        let entry = Entry::after(Cursor::ORIGIN, Kind::from_name("labelled"), "{}".into());
        let frame = entry_frame(LtmId::new(1).unwrap(), Cursor::ORIGIN, &entry);
        assert!(frame.text.is_empty());
        assert_eq!(frame.cursor, entry.cursor);
    }
}
