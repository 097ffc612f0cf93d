//! The approximate size of JSON values: as text, where escapes are not counted, and in memory.

use serde_json::Value;

use super::memory;

/// The size of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JsonSize {
    /// The length of its text in bytes.
    pub(crate) bytes: usize,
    /// What it takes in memory beside its own slot, in bytes: see [`super::memory`].
    pub(crate) memory: usize,
    /// The levels of arrays and objects.
    pub(crate) depth: usize,
}

impl JsonSize {
    /// The bytes that a member of an object with this key adds, with its comma and its colon.
    pub(crate) fn of_member(self, key: &str) -> Self {
        Self {
            bytes: self.bytes + member_bytes(key, false),
            memory: self.memory + memory::text(key.len()),
            ..self
        }
    }

    /// The bytes that an element of an array adds, with its comma.
    pub(crate) fn of_element(self) -> Self {
        Self {
            bytes: self.bytes + 1,
            ..self
        }
    }
}

/// The bytes that a member adds to its value: the comma, and in an object the key.
pub(crate) fn member_bytes(key: &str, is_array: bool) -> usize {
    if is_array { 1 } else { key.len() + 4 }
}

/// The size of `value`.
pub(crate) fn measure(value: &Value) -> JsonSize {
    match value {
        Value::Array(items) => container(
            memory::array(items.len()),
            items.iter().map(|item| measure(item).of_element()),
        ),
        Value::Object(members) => container(
            memory::object(members.len()),
            members
                .iter()
                .map(|(key, item)| measure(item).of_member(key)),
        ),
        scalar => JsonSize {
            bytes: scalar_bytes(scalar),
            memory: match scalar {
                Value::Number(number) => memory::text(number.as_str().len()),
                Value::String(text) => memory::text(text.len()),
                _ => 0,
            },
            depth: 0,
        },
    }
}

fn container(memory: usize, members: impl Iterator<Item = JsonSize>) -> JsonSize {
    let mut all = JsonSize {
        bytes: 2,
        memory,
        depth: 0,
    };
    for member in members {
        all.bytes += member.bytes;
        all.memory += member.memory;
        all.depth = all.depth.max(member.depth);
    }
    all.depth += 1;
    all
}

fn scalar_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text.len() + 2,
        Value::Array(_) | Value::Object(_) => 2,
    }
}

/// Whether `value` has fewer bytes than `limit`. Reads only as much of the value as it needs.
pub(crate) fn is_below(value: &Value, limit: usize) -> bool {
    subtract(value, limit).is_some_and(|left| left > 0)
}

/// `bytes` minus the size of `value`; `None` if the value is larger. Reads only as much of the value as it needs.
pub(crate) fn subtract(value: &Value, bytes: usize) -> Option<usize> {
    let bytes = bytes.checked_sub(scalar_bytes(value))?;
    match value {
        Value::Array(items) => items
            .iter()
            .try_fold(bytes, |bytes, item| subtract(item, bytes.checked_sub(1)?)),
        Value::Object(members) => members.iter().try_fold(bytes, |bytes, (key, item)| {
            subtract(item, bytes.checked_sub(member_bytes(key, false))?)
        }),
        _ => Some(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::patch::tests::values;

    proptest! {
        #[test]
        fn a_value_is_below_a_limit_if_it_measures_less(value in values(), limit in 0_usize..60) {
            prop_assert_eq!(is_below(&value, limit), measure(&value).bytes < limit);
        }
    }
}
