//! Messages of the gateway as lines for people.

use ltm_client::{Change, Message, Reset, Rollback, Snapshot};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Accent, Output};
use crate::text::{count_of, item_name, printable};

/// The width of the column with the kind of a message.
const KIND_WIDTH: usize = 12;

/// A message as a line; `None` if there is nothing to show.
pub(crate) fn line(message: &Message, output: Output) -> Option<String> {
    let line = |accent, time: &str, kind: &str, text: &str| {
        let time = output.accent(Accent::Faint, &printable(time));
        let kind = format!("{:KIND_WIDTH$}", printable(kind));
        let kind = output.accent(accent, &kind);
        let space = if time.is_empty() { "" } else { "  " };
        Some(format!("{time}{space}{kind} {}", printable(text)))
    };
    match &message.change {
        Change::Snapshot(Snapshot {
            time,
            reason,
            item,
            patch,
            ..
        }) => {
            let name = item_name(item).map_or_else(String::new, |name| format!("{name}  "));
            line(
                Accent::Kind,
                time,
                reason,
                &format!("{name}{}", patch.get()),
            )
        }
        Change::Rollback(Rollback {
            snapshot_index,
            time,
            reason,
            patch,
            ..
        }) => {
            let place = match snapshot_index {
                Some(index) => format!("to snapshot {index}"),
                None => "undone".into(),
            };
            let text = format!("{place} ({reason}): {}", patch.get());
            line(Accent::Alert, time, "rollback", &text)
        }
        Change::Reset(Reset {
            reason,
            state,
            snapshots_count,
        }) => {
            let why = match reason.as_str() {
                "requested" => "",
                "trimmed" => "the log no longer has the entries since the last cursor; ",
                "forked" => "the log no longer contains the last cursor; ",
                other => &format!("{other}; "),
            };
            let text = format!(
                "{why}the state at cursor {}, {}: {}",
                message.cursor,
                count_of(*snapshots_count, "snapshot"),
                state.get()
            );
            let (accent, kind) = if why.is_empty() {
                (Accent::Kind, "state")
            } else {
                (Accent::Alert, "reset")
            };
            line(accent, "", kind, &text)
        }
        Change::Error(error) => {
            let (time, text) = error_line(error);
            line(Accent::Alert, &time, "error", &text)
        }
        Change::Deleted => Some(output.accent(Accent::Alert, "deleted")),
        _ => None,
    }
}

/// The time of an error, and what failed: the item, and the JSON of its last attempt.
fn error_line(error: &RawValue) -> (String, String) {
    #[derive(Deserialize)]
    struct RecordedError {
        #[serde(default)]
        updated_at: String,
        item: Box<RawValue>,
        #[serde(default)]
        retries: Vec<Box<RawValue>>,
    }
    let Ok(read) = serde_json::from_str::<RecordedError>(error.get()) else {
        return (String::new(), error.get().into());
    };
    let name = item_name(&read.item).map_or_else(String::new, |name| format!("{name}  "));
    let last = read.retries.last().unwrap_or(&read.item);
    (read.updated_at, format!("{name}{}", last.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let message: Message = text.parse().unwrap();
        line(&message, Output::plain())
    }

    #[test]
    fn a_snapshot_is_its_time_its_reason_and_its_patch_as_it_came() {
        let text = r#"{"id":42,"cursor":"18-7","snapshot":{"time":"2026-11-24T02:45:14.123456Z","reason":"execute","item":null,
            "patch":[{"op":"add","path":"/n","value":0.10}],"execute_queue":[],"transitions_queue":[]}}"#;
        assert_eq!(
            shown(text).unwrap(),
            r#"2026-11-24T02:45:14.123456Z  execute      [{"op":"add","path":"/n","value":0.10}]"#
        );
    }

    #[test]
    fn a_snapshot_names_its_item() {
        let text = r#"{"id":42,"cursor":"18-7","snapshot":{"time":"T","reason":"execute","item":{"fqn":"agent.plan"},
            "patch":[],"execute_queue":[],"transitions_queue":[]}}"#;
        assert_eq!(shown(text).unwrap(), "T  execute      plan  []");
    }

    #[test]
    fn every_other_message_says_what_it_is() {
        for (members, expected) in [
            (
                r#""snapshot_index":5,"rollback":{"time":"T","reason":"retry","patch":[],"snapshots_count":6}"#,
                "T  rollback     to snapshot 5 (retry): []",
            ),
            (
                r#""snapshot_index":null,"rollback":{"time":"T","reason":"retry","patch":[],"snapshots_count":6}"#,
                "T  rollback     undone (retry): []",
            ),
            (
                r#""reset":{"reason":"requested","state":{"n":1.0},"snapshots_count":20}"#,
                r#"state        the state at cursor 18-7, 20 snapshots: {"n":1.0}"#,
            ),
            (
                r#""reset":{"reason":"forked","state":{},"snapshots_count":20}"#,
                "reset        the log no longer contains the last cursor; the state at cursor 18-7, 20 snapshots: {}",
            ),
            (
                r#""error":{"reason":"x"}"#,
                r#"error        {"reason":"x"}"#,
            ),
            (
                r#""error":{"reason":"execute","item":{"fqn":"a.plan"},"updated_at":"T","retries":[{"n":1},{"n":2}]}"#,
                r#"T  error        plan  {"n":2}"#,
            ),
            (r#""deleted":true"#, "deleted"),
        ] {
            let text = format!(r#"{{"id":42,"cursor":"18-7",{members}}}"#);
            assert_eq!(shown(&text).as_deref(), Some(expected));
        }
        for silent in [r#""live":true"#, r#""unheard_of":[]"#] {
            assert_eq!(shown(&format!(r#"{{"cursor":"18-7",{silent}}}"#)), None);
        }
    }
}
