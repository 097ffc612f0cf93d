//! Patches made from what a producer sends instead of one: a whole new state, or a merge patch.

use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use jsonptr::PointerBuf;
use serde_json::{Map, Value};

/// The patch (RFC 6902) that leads from one state to another.
///
/// Members are compared by name. Of two arrays the common beginning and end stay as they are, so
/// that taking the first item off a queue is one `remove` and not a rewrite of all the rest.
pub fn diff(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<PatchOperation> {
    let mut differ = Differ::default();
    differ.objects(from, to);
    differ.operations
}

/// The patch (RFC 6902) that does to `state` what the merge patch (RFC 7396) `merge` does.
pub fn merge(state: &Map<String, Value>, merge: Map<String, Value>) -> Vec<PatchOperation> {
    let mut differ = Differ::default();
    differ.merge(state, merge);
    differ.operations
}

#[derive(Default)]
struct Differ {
    path: PointerBuf,
    operations: Vec<PatchOperation>,
}

impl Differ {
    /// Runs `work` one level down, at `token`.
    fn at(&mut self, token: impl Into<jsonptr::Token<'static>>, work: impl FnOnce(&mut Self)) {
        self.path.push_back(token);
        work(self);
        self.path.pop_back();
    }

    fn add(&mut self, value: Value) {
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Add(AddOperation { path, value }));
    }

    fn remove(&mut self) {
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Remove(RemoveOperation { path }));
    }

    fn replace(&mut self, value: Value) {
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Replace(ReplaceOperation { path, value }));
    }

    fn values(&mut self, from: &Value, to: &Value) {
        match (from, to) {
            (Value::Object(from), Value::Object(to)) => self.objects(from, to),
            (Value::Array(from), Value::Array(to)) => self.arrays(from, to),
            _ if from == to => {}
            _ => self.replace(to.clone()),
        }
    }

    fn objects(&mut self, from: &Map<String, Value>, to: &Map<String, Value>) {
        for key in from.keys().filter(|key| !to.contains_key(*key)) {
            self.at(key.clone(), Self::remove);
        }
        for (key, to) in to {
            self.at(key.clone(), |differ| match from.get(key) {
                Some(from) => differ.values(from, to),
                None => differ.add(to.clone()),
            });
        }
    }

    fn arrays(&mut self, from: &[Value], to: &[Value]) {
        let head = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        let (from, to) = (&from[head..], &to[head..]);
        let tail = from
            .iter()
            .rev()
            .zip(to.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        let (from, to) = (&from[..from.len() - tail], &to[..to.len() - tail]);
        let both = from.len().min(to.len());
        for (index, (from, to)) in from.iter().zip(to).enumerate() {
            self.at(head + index, |differ| differ.values(from, to));
        }
        for _ in both..from.len() {
            self.at(head + both, Self::remove);
        }
        for (index, value) in to.iter().enumerate().skip(both) {
            self.at(head + index, |differ| differ.add(value.clone()));
        }
    }

    fn merge(&mut self, state: &Map<String, Value>, merge: Map<String, Value>) {
        for (key, value) in merge {
            let old = state.get(&key);
            self.at(key, |differ| match (old, value) {
                (None, Value::Null) => {}
                (Some(_), Value::Null) => differ.remove(),
                (Some(Value::Object(old)), Value::Object(value)) => differ.merge(old, value),
                (None, value) => differ.add(without_nulls(value)),
                (Some(old), value) => {
                    let value = without_nulls(value);
                    if *old != value {
                        differ.replace(value);
                    }
                }
            });
        }
    }
}

/// What a merge patch makes where there was no object before.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use json_patch::patch_unsafe;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::patch::tests::objects;

    proptest! {
        #[test]
        fn a_diff_leads_from_one_state_to_the_other(from in objects(), to in objects()) {
            let operations = diff(&from, &to);
            let mut value = Value::Object(from);
            patch_unsafe(&mut value, &operations).unwrap();
            prop_assert_eq!(value, Value::Object(to));
        }

        #[test]
        fn a_merge_does_what_rfc_7396_says(state in objects(), with in objects()) {
            let operations = merge(&state, with.clone());
            let mut value = Value::Object(state.clone());
            patch_unsafe(&mut value, &operations).unwrap();
            let mut expected = Value::Object(state);
            json_patch::merge(&mut expected, &Value::Object(with));
            prop_assert_eq!(value, expected);
        }
    }

    #[test]
    fn taking_from_a_queue_is_one_operation() {
        let from = json!({"queue": [{"n": 1}, {"n": 2}, {"n": 3}], "same": [1, 2]});
        let to = json!({"queue": [{"n": 2}, {"n": 3}], "same": [1, 2]});
        let operations = diff(from.as_object().unwrap(), to.as_object().unwrap());
        assert_eq!(
            json!(operations),
            json!([{"op": "remove", "path": "/queue/0"}])
        );
    }

    #[test]
    fn a_change_of_spelling_is_a_change() {
        let from: Map<String, Value> = serde_json::from_str(r#"{"a":1.0}"#).unwrap();
        let to: Map<String, Value> = serde_json::from_str(r#"{"a":1}"#).unwrap();
        assert_eq!(diff(&from, &to).len(), 1);
    }
}
