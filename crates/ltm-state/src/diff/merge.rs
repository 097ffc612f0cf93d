//! Makes a patch from a merge patch (RFC 7396).
//!
//! A merge patch defines a result, not operations. So the patch is that of the diff to this result, but only what the
//! merge patch names is compared: the rest of the state is not read.

use serde_json::{Map, Value};

use super::{Differ, length};
use crate::{
    json::{member_bytes, subtract},
    prototype::is_reserved,
};

impl Differ<'_> {
    /// Changes the object at the path as `merge` does. Returns a lower bound of its new size in bytes, as far as the
    /// comparison shows one.
    pub(super) fn merge(&mut self, from: &Map<String, Value>, merge: &Map<String, Value>) -> usize {
        let mut known = 0;
        for (key, new) in merge {
            let old = from.get(key);
            known += self.at(key.clone(), |differ| match (old, new) {
                (None, Value::Null) => 0,
                (Some(_), Value::Null) => {
                    differ.remove();
                    0
                }
                (None, new) => differ.add(merged(None, new)),
                (Some(Value::Object(from)), Value::Object(_)) => differ.merge_member(from, new),
                (Some(old), new) => differ.values(old, &merged(None, new)),
            });
        }
        known
    }

    /// Merges an object into another. Replaces it as a whole if that makes the patch shorter.
    fn merge_member(&mut self, from: &Map<String, Value>, new: &Value) -> usize {
        let Value::Object(merge) = new else { return 0 };
        if merge.keys().any(|key| is_reserved(&self.path, key)) {
            // Clients in JavaScript reject the paths of such members.
            let to = merged(Some(from), new);
            return match &to {
                Value::Object(to) if to == from => 0,
                _ => self.replace(to),
            };
        }
        let (operations, length) = (self.operations.len(), self.length);
        let known = self.merge(from, merge);
        let room = length::left_for_value(self.path_bytes(), self.length - length);
        if known >= room || subtract_merged(Some(from), new, room).is_none_or(|left| left == 0) {
            return known.max(room);
        }
        self.operations.truncate(operations);
        self.length = length;
        self.replace(merged(Some(from), new))
    }
}

/// What `merge` makes of a value, which counts only if it is an object.
fn merged(from: Option<&Map<String, Value>>, merge: &Value) -> Value {
    let Value::Object(merge) = merge else {
        return merge.clone();
    };
    let mut to = from.cloned().unwrap_or_default();
    for (key, new) in merge {
        if new.is_null() {
            to.remove(key);
        } else {
            let old = from.and_then(|from| from.get(key)?.as_object());
            to.insert(key.clone(), merged(old, new));
        }
    }
    Value::Object(to)
}

/// `bytes` minus the size of [`merged`]; `None` if that is larger. Reads only as much of `from` as it needs.
fn subtract_merged(
    from: Option<&Map<String, Value>>,
    merge: &Value,
    bytes: usize,
) -> Option<usize> {
    let Value::Object(merge) = merge else {
        return subtract(merge, bytes);
    };
    let member = |bytes: usize, key: &str| bytes.checked_sub(member_bytes(key, false));
    let kept = from.into_iter().flatten();
    let kept = kept.filter(|(key, _)| !merge.contains_key(*key));
    let left = kept.fold(bytes.checked_sub(2), |left, (key, old)| {
        subtract(old, member(left?, key)?)
    });
    let named = merge.iter().filter(|(_, new)| !new.is_null());
    named.fold(left, |left, (key, new)| {
        let old = from.and_then(|from| from.get(key)?.as_object());
        subtract_merged(old, new, member(left?, key)?)
    })
}
