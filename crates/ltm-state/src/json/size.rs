//! The approximate size of JSON values as text: escapes are not counted.

use serde_json::Value;

/// The size of a value.
#[derive(Clone, Copy, Default)]
pub(crate) struct JsonSize {
    /// The length of its text in bytes.
    pub(crate) bytes: usize,
    /// The levels of arrays and objects.
    pub(crate) depth: usize,
}

/// The bytes that a member adds to its value: the comma, and in an object the key.
pub(crate) fn member_bytes(key: &str, is_array: bool) -> usize {
    if is_array { 1 } else { key.len() + 4 }
}

/// The size of `value`.
pub(crate) fn measure(value: &Value) -> JsonSize {
    match value {
        Value::Array(items) => container(items.iter().map(|item| (1, measure(item)))),
        Value::Object(members) => container(
            members
                .iter()
                .map(|(key, item)| (member_bytes(key, false), measure(item))),
        ),
        scalar => JsonSize {
            bytes: scalar_bytes(scalar),
            depth: 0,
        },
    }
}

fn container(members: impl Iterator<Item = (usize, JsonSize)>) -> JsonSize {
    let mut all = JsonSize { bytes: 2, depth: 0 };
    for (beside, member) in members {
        all.bytes += beside + member.bytes;
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
