//! How long operations are as JSON text, about.

use serde_json::Value;

use crate::json::{measure, member_bytes};

/// Bytes of `{"op":"remove","path":""},`.
const REMOVE: usize = 26;
/// Bytes of `{"op":"move","from":"","path":""},`.
const MOVE: usize = 34;
/// Bytes of `{"op":"add","path":"","value":},`.
const ADD: usize = 32;
/// Bytes of `{"op":"replace","path":"","value":},`.
const REPLACE: usize = 36;

/// Of a `remove` at a path of `path` bytes.
pub(super) fn remove(path: usize) -> usize {
    REMOVE + path
}

/// Of a `move` between two paths of so many bytes in all.
pub(super) fn moved(paths: usize) -> usize {
    MOVE + paths
}

/// Of an `add` of a value of `bytes`.
pub(super) fn add(path: usize, bytes: usize) -> usize {
    ADD + path + bytes
}

/// Of a `replace`.
pub(super) fn replace(path: usize, bytes: usize) -> usize {
    REPLACE + path + bytes
}

/// What a value at a path of `path` bytes may have at most for its `replace` to be shorter than `bytes`.
pub(super) fn left_for_value(path: usize, bytes: usize) -> usize {
    bytes.saturating_sub(REPLACE + path)
}

/// Of the patch from one value to another, where arrays are compared by position. It looks at each
/// part of both once.
pub(super) fn changed(path: usize, from: &Value, to: &Value) -> usize {
    both(path, from, to).patch
}

/// The length of a patch, and the size of the value that it leads to.
#[derive(Clone, Copy, Default)]
struct Both {
    patch: usize,
    bytes: usize,
}

impl Both {
    /// Takes a member in, which has `beside` bytes beside its value.
    fn with(self, beside: usize, member: Self) -> Self {
        Self {
            patch: self.patch + member.patch,
            bytes: self.bytes + beside + member.bytes,
        }
    }
}

fn both(path: usize, from: &Value, to: &Value) -> Both {
    let mut all = match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let below = |key: &str| path + 1 + key.len();
            let gone = from.keys().filter(|key| !to.contains_key(*key));
            let begin = Both {
                patch: gone.map(|key| remove(below(key))).sum(),
                bytes: 2,
            };
            to.iter().fold(begin, |all, (key, to)| {
                let member = member(below(key), from.get(key), to);
                all.with(member_bytes(key, false), member)
            })
        }
        (Value::Array(from), Value::Array(to)) => {
            let below = path + 2;
            let begin = Both {
                patch: from.len().saturating_sub(to.len()) * remove(below),
                bytes: 2,
            };
            to.iter().enumerate().fold(begin, |all, (index, to)| {
                all.with(1, member(below, from.get(index), to))
            })
        }
        _ => Both {
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

fn member(path: usize, from: Option<&Value>, to: &Value) -> Both {
    from.map_or_else(
        || {
            let bytes = measure(to).bytes;
            let patch = add(path, bytes);
            Both { patch, bytes }
        },
        |from| both(path, from, to),
    )
}
