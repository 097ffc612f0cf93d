//! What a client gets of a patch. Clients apply it with `fast-json-patch`, and only warn if it does not apply.

use std::borrow::Cow;

use ltm_types::member::{MESSAGES, RUN, STATUS};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::state::{Hidden, Status};

/// A patch as a client gets it.
#[derive(Debug, Default)]
pub(super) struct Delta<'a> {
    /// RFC 6902.
    pub patch: Cow<'a, str>,
    /// Whether the patch changes nothing that the client holds, although it changes the state.
    pub is_hidden: bool,
    /// The status after it, if the patch sets it.
    pub status: Option<Status>,
    /// The messages that it adds to the list of a plain LTM.
    pub added: Vec<&'a RawValue>,
}

/// How a patch concerns a client.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// Whether the LTM was recorded from AG-UI events: its own members are not part of the client's state.
    pub recorded: bool,
    /// Whether the entry itself has a message event for what it changes.
    pub has_event: bool,
    /// Where a plain LTM has its messages: a JSON Pointer.
    pub messages: &'a str,
}

#[derive(Deserialize)]
struct Operation<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// The patch for a client; `None` if only the state after it can tell what it does to the client.
pub(super) fn delta<'a>(patch: &'a RawValue, view: View<'_>) -> Option<Delta<'a>> {
    let operations: Vec<&RawValue> = serde_json::from_str(patch.get()).ok()?;
    let (mut delta, mut kept) = (Delta::default(), Vec::new());
    for text in &operations {
        let operation: Operation<'_> = serde_json::from_str(text.get()).ok()?;
        if operation
            .paths()
            .any(|path| path.is_empty() || is_banned(path))
        {
            return None;
        }
        if view.recorded {
            if delta.note_hidden(&operation, view.has_event)? {
                continue;
            }
        } else {
            delta.note_plain(&operation, view.messages)?;
        }
        kept.push(text.get());
    }
    delta.is_hidden = kept.is_empty() && !operations.is_empty();
    delta.patch = if kept.len() == operations.len() {
        Cow::Borrowed(patch.get())
    } else {
        Cow::Owned(format!("[{}]", kept.join(",")))
    };
    Some(delta)
}

impl<'a> Operation<'a> {
    fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.path).chain(self.from.as_deref())
    }

    /// The status that the operation sets; `None` if it sets none, an error if only the state can tell.
    fn status(&self) -> Option<Option<Status>> {
        let is_status = |path: &str| path.strip_prefix('/') == Some(STATUS);
        let taken = self.op == "move" && self.from.as_deref().is_some_and(is_status);
        if !is_status(&self.path) {
            return Some(taken.then_some(Status::Other));
        }
        match &*self.op {
            "add" | "replace" => Some(Some(Status::of(self.value))),
            "remove" => Some(Some(Status::Other)),
            "test" => Some(None),
            _ => None,
        }
    }
}

impl<'a> Delta<'a> {
    /// Takes note of an operation on a recorded LTM; whether the client does not get it.
    fn note_hidden(&mut self, operation: &Operation<'a>, has_event: bool) -> Option<bool> {
        let is_hidden = |path: &str| Hidden::of(path).is_some();
        let hidden = is_hidden(&operation.path);
        if operation
            .from
            .as_deref()
            .is_some_and(|from| is_hidden(from) != hidden)
        {
            return None;
        }
        if !hidden {
            return Some(false);
        }
        if let Some(status) = operation.status()? {
            self.status = Some(status);
        }
        let touches = |member: Hidden| {
            operation
                .paths()
                .any(|path| Hidden::of(path) == Some(member))
        };
        let removes_run = operation.op == "remove" && operation.path.strip_prefix('/') == Some(RUN);
        // What nobody told as an event, only a new list of messages can tell.
        if removes_run || touches(Hidden::Messages) && !has_event {
            return None;
        }
        Some(true)
    }

    /// Takes note of an operation on a plain LTM.
    fn note_plain(&mut self, operation: &Operation<'a>, messages: &str) -> Option<()> {
        if Hidden::of(&operation.path) == Some(Hidden::Run) {
            return None;
        }
        if let Some(status) = operation.status()? {
            self.status = Some(status);
        }
        let touches = |path: &str| is_below(path, messages) || is_below(messages, path);
        if operation.op == "test" || !operation.paths().any(touches) {
            return Some(());
        }
        let is_end = operation.path.strip_prefix(messages) == Some("/-");
        if operation.op != "add" || !is_end {
            return None;
        }
        self.added.push(operation.value?);
        Some(())
    }
}

impl Hidden {
    /// The member of the recording at or above a path.
    fn of(path: &str) -> Option<Self> {
        match path.strip_prefix('/')?.split('/').next()? {
            STATUS => Some(Self::Status),
            RUN => Some(Self::Run),
            MESSAGES => Some(Self::Messages),
            _ => None,
        }
    }
}

fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `fast-json-patch` refuses the path, because it can lead to the prototype of all objects.
fn is_banned(path: &str) -> bool {
    if !path.contains("proto") {
        return false;
    }
    let mut before = "";
    path.split('/').any(|token| {
        let constructor = std::mem::replace(&mut before, token) == "constructor";
        token == "__proto__" || token == "prototype" && constructor
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(
        patch: &Value,
        recorded: bool,
        has_event: bool,
    ) -> Option<(Value, Option<Status>, usize)> {
        let text = serde_json::value::to_raw_value(patch).unwrap();
        let view = View {
            recorded,
            has_event,
            messages: "/_messages",
        };
        let delta = delta(&text, view)?;
        let patch = serde_json::from_str(&delta.patch).unwrap();
        Some((patch, delta.status, delta.added.len()))
    }

    #[test]
    fn a_plain_ltm_shows_its_whole_patch_and_the_status_is_known() {
        let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
        let patch = json!([add("/_status", json!("finished")), add("/_runs", json!(1))]);
        let status = Some(Status::Finished);
        assert_eq!(of(&patch, false, false), Some((patch.clone(), status, 0)));
        let removed = json!([{"op": "remove", "path": "/_status"}]);
        assert_eq!(
            of(&removed, false, false),
            Some((removed.clone(), Some(Status::Other), 0))
        );
        let added = json!([add("/_messages/-", json!({"id": "1"}))]);
        assert_eq!(of(&added, false, false), Some((added.clone(), None, 1)));
    }

    #[test]
    fn what_only_the_state_can_tell_is_not_a_patch() {
        for patch in [
            json!([{"op": "replace", "path": "", "value": {}}]),
            json!([{"op": "add", "path": "/__proto__", "value": 1}]),
            json!([{"op": "move", "from": "/a/constructor/prototype", "path": "/b"}]),
            json!([{"op": "copy", "from": "/a", "path": "/_status"}]),
            json!([{"op": "add", "path": "/_run", "value": {}}]),
            json!([{"op": "replace", "path": "/_messages/0/content", "value": "x"}]),
            json!([{"op": "remove", "path": "/_messages"}]),
        ] {
            assert_eq!(of(&patch, false, false), None, "{patch}");
        }
        for patch in [
            json!([{"op": "move", "from": "/a", "path": "/_messages/-"}]),
            json!([{"op": "remove", "path": "/_run"}]),
            json!([{"op": "remove", "path": "/_messages/0"}]),
        ] {
            assert_eq!(of(&patch, true, false), None, "{patch}");
        }
    }

    #[test]
    fn a_recorded_ltm_keeps_its_own_members_to_itself() {
        let own = json!({"op": "add", "path": "/n", "value": 1});
        let patch = json!([
            {"op": "replace", "path": "/_status", "value": "active"},
            {"op": "add", "path": "/_messages/-", "value": {}},
            own,
            {"op": "replace", "path": "/_run", "value": {}},
        ]);
        let status = Some(Status::Other);
        assert_eq!(of(&patch, true, true), Some((json!([own]), status, 0)));
    }
}
