//! The messages of the gateway, and how they are shown.

use ltm_types::Cursor;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::output::{Accent, Output, printable};

/// The width of the column that says what a message is.
const KIND_WIDTH: usize = 12;

/// A message: where the subscriber stands with it, and one of the others.
#[derive(Deserialize)]
pub(crate) struct Message<'a> {
    pub(crate) cursor: Cursor,
    #[serde(borrow)]
    snapshot: Option<Change<'a>>,
    #[serde(borrow)]
    rollback: Option<Change<'a>>,
    snapshot_index: Option<i64>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    reset: Option<Reset<'a>>,
    deleted: Option<bool>,
    live: Option<bool>,
}

/// What a snapshot or a rollback changes.
#[derive(Deserialize)]
struct Change<'a> {
    time: String,
    reason: String,
    #[serde(borrow)]
    patch: &'a RawValue,
}

#[derive(Deserialize)]
struct Reset<'a> {
    reason: String,
    #[serde(borrow)]
    state: &'a RawValue,
    snapshots_count: u64,
}

impl Message<'_> {
    /// Whether everything has been sent that was there at the connect.
    pub(crate) fn is_live(&self) -> bool {
        self.live == Some(true)
    }

    /// Whether it replaces all that came before.
    pub(crate) fn is_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// The message as a line for people; none where there is nothing to say.
    pub(crate) fn line(&self, output: Output) -> Option<String> {
        let line = |accent, time: &str, kind: &str, text: &str| {
            let time = output.accent(Accent::Faint, &printable(time));
            let kind = format!("{:KIND_WIDTH$}", printable(kind));
            let kind = output.accent(accent, &kind);
            let space = if time.is_empty() { "" } else { "  " };
            Some(format!("{time}{space}{kind} {}", printable(text)))
        };
        if let Some(Change {
            time,
            reason,
            patch,
        }) = &self.snapshot
        {
            return line(Accent::Kind, time, reason, patch.get());
        }
        if let Some(Change {
            time,
            reason,
            patch,
        }) = &self.rollback
        {
            let place = match self.snapshot_index {
                Some(index) => format!("to snapshot {index}"),
                None => "undone".into(),
            };
            let text = format!("{place} ({reason}): {}", patch.get());
            return line(Accent::Alert, time, "rollback", &text);
        }
        if let Some(Reset {
            reason,
            state,
            snapshots_count,
        }) = &self.reset
        {
            let why = match reason.as_str() {
                "requested" => "",
                "trimmed" => "the entries since the last cursor were removed; ",
                "forked" => "the history is another one than before; ",
                other => &format!("{other}; "),
            };
            let text = format!(
                "{why}the state at cursor {}, {snapshots_count} snapshots: {}",
                self.cursor,
                state.get()
            );
            let (accent, kind) = if why.is_empty() {
                (Accent::Kind, "state")
            } else {
                (Accent::Alert, "reset")
            };
            return line(accent, "", kind, &text);
        }
        if let Some(error) = self.error {
            return line(Accent::Alert, "", "error", error.get());
        }
        (self.deleted == Some(true)).then(|| output.accent(Accent::Alert, "deleted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<String> {
        let message: Message<'_> = serde_json::from_str(text).unwrap();
        message.line(Output::plain())
    }

    #[test]
    fn a_snapshot_is_its_time_its_reason_and_its_patch_as_it_came() {
        let text = r#"{"id":42,"cursor":"18-7","snapshot":{"time":"2026-11-24T02:45:14.123456Z","reason":"execute","item":null,
            "patch":[{"op":"add","path":"/n","value":0.10}],"execute_queue":[],"transitions_queue":[]}}"#;
        assert_eq!(
            line(text).unwrap(),
            r#"2026-11-24T02:45:14.123456Z  execute      [{"op":"add","path":"/n","value":0.10}]"#
        );
    }

    #[test]
    fn every_other_message_says_what_it_is() {
        for (members, shown) in [
            (
                r#""snapshot_index":5,"rollback":{"time":"T","reason":"retry","patch":[]}"#,
                "T  rollback     to snapshot 5 (retry): []",
            ),
            (
                r#""snapshot_index":null,"rollback":{"time":"T","reason":"retry","patch":[]}"#,
                "T  rollback     undone (retry): []",
            ),
            (
                r#""reset":{"reason":"requested","state":{"n":1.0},"snapshots_count":20}"#,
                r#"state        the state at cursor 18-7, 20 snapshots: {"n":1.0}"#,
            ),
            (
                r#""reset":{"reason":"forked","state":{},"snapshots_count":20}"#,
                "reset        the history is another one than before; the state at cursor 18-7, 20 snapshots: {}",
            ),
            (
                r#""error":{"reason":"x"}"#,
                r#"error        {"reason":"x"}"#,
            ),
            (r#""deleted":true"#, "deleted"),
        ] {
            let text = format!(r#"{{"id":42,"cursor":"18-7",{members}}}"#);
            assert_eq!(line(&text).as_deref(), Some(shown));
        }
        for silent in [r#""live":true"#, r#""unheard_of":[]"#] {
            assert_eq!(line(&format!(r#"{{"cursor":"18-7",{silent}}}"#)), None);
        }
    }
}
