//! The approximate length of operations as JSON text, in bytes. `path` is always the length of a path.

use serde_json::Value;

use crate::json::{measure, member_bytes};

/// The length of `{"op":"remove","path":""},`.
const REMOVE: usize = 26;
/// The length of `{"op":"move","from":"","path":""},`.
const MOVE: usize = 34;
/// The length of `{"op":"add","path":"","value":},`.
const ADD: usize = 32;
/// The length of `{"op":"replace","path":"","value":},`.
const REPLACE: usize = 36;

/// The length of a `remove`.
pub(super) fn remove(path: usize) -> usize {
    REMOVE + path
}

/// The length of a `move`. `paths` is the length of both paths together.
pub(super) fn moved(paths: usize) -> usize {
    MOVE + paths
}

/// The length of an `add` of a value of `bytes`.
pub(super) fn add(path: usize, bytes: usize) -> usize {
    ADD + path + bytes
}

/// The length of a `replace` with a value of `bytes`.
pub(super) fn replace(path: usize, bytes: usize) -> usize {
    REPLACE + path + bytes
}

/// The largest value whose `replace` is not longer than `bytes`.
pub(super) fn left_for_value(path: usize, bytes: usize) -> usize {
    bytes.saturating_sub(REPLACE + path)
}

/// The length of the patch from one value to another, if arrays are compared by index. Visits each part of
/// both values once.
pub(super) fn changed(path: usize, from: &Value, to: &Value) -> usize {
    patch_size(path, from, to).patch
}

/// The length of a patch, and the size of the value that it leads to.
#[derive(Clone, Copy, Default)]
struct PatchSize {
    patch: usize,
    bytes: usize,
}

impl PatchSize {
    /// Adds a member, whose key and separators have `beside` bytes.
    fn with(self, beside: usize, member: Self) -> Self {
        Self {
            patch: self.patch + member.patch,
            bytes: self.bytes + beside + member.bytes,
        }
    }
}

fn patch_size(path: usize, from: &Value, to: &Value) -> PatchSize {
    let mut all = match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let below = |key: &str| path + 1 + key.len();
            let removed = from.keys().filter(|key| !to.contains_key(*key));
            let empty = PatchSize {
                patch: removed.map(|key| remove(below(key))).sum(),
                bytes: 2,
            };
            to.iter().fold(empty, |all, (key, to)| {
                let member = member(below(key), from.get(key), to);
                all.with(member_bytes(key, false), member)
            })
        }
        (Value::Array(from), Value::Array(to)) => {
            let below = path + 2;
            let empty = PatchSize {
                patch: from.len().saturating_sub(to.len()) * remove(below),
                bytes: 2,
            };
            to.iter().enumerate().fold(empty, |all, (index, to)| {
                all.with(1, member(below, from.get(index), to))
            })
        }
        _ => PatchSize {
            patch: if from == to { 0 } else { usize::MAX },
            bytes: measure(to).bytes,
        },
    };
    all.patch = match all.patch {
        0 => 0,
        patch => patch.min(replace(path, all.bytes)),
    };
    all
}

fn member(path: usize, from: Option<&Value>, to: &Value) -> PatchSize {
    from.map_or_else(
        || {
            let bytes = measure(to).bytes;
            let patch = add(path, bytes);
            PatchSize { patch, bytes }
        },
        |from| patch_size(path, from, to),
    )
}
