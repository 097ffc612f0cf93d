//! What JSON takes in memory as a [`Value`], which can be a hundred times its text: `[{"a":0},{"a":0}]`.
//!
//! The numbers follow how Rust's containers and the allocators of common systems work. They are right within a factor
//! of 1.5; a test of the services compares them with the memory of a process.

use serde_json::Value;

/// The slot of a value in the array or object that holds it.
pub(crate) const SLOT: usize = size_of::<Value>();
/// The slot of a key.
const KEY: usize = size_of::<String>();
/// The smallest block of an allocator.
const MIN_BLOCK: usize = 32;
/// The members that a node of an object's tree has room for.
const NODE_MEMBERS: usize = 11;
/// The memory of such a node.
const NODE: usize = NODE_MEMBERS * (SLOT + KEY) + 16;
/// The members that a node holds, if there are many: a node that is full is split.
const USED_MEMBERS: usize = 6;
/// The elements that an array makes room for at first.
const MIN_ITEMS: usize = 4;

/// A text, a key, or a number, which is held as text.
pub(crate) fn text(len: usize) -> usize {
    match len {
        0 => 0,
        _ => (len + 8).next_multiple_of(16).max(MIN_BLOCK),
    }
}

/// An array without what its elements hold.
pub(crate) fn array(len: usize) -> usize {
    match len {
        0 => 0,
        // An array that grows doubles its room, and one that is copied has none to spare.
        1..=MIN_ITEMS => MIN_ITEMS * SLOT + 16,
        _ => len * SLOT + len * SLOT / 4 + 16,
    }
}

/// An object without its keys and what its members hold.
pub(crate) fn object(len: usize) -> usize {
    match len {
        0 => 0,
        1..=NODE_MEMBERS => NODE,
        _ => len.div_ceil(USED_MEMBERS) * NODE,
    }
}

/// What a text would take if it was read as a [`Value`], in bytes. `json` is valid JSON.
///
/// This reads only the text, so that a text that would take too much need not be parsed.
pub fn memory_of(json: &str) -> usize {
    let (mut memory, mut open) = (0, Vec::new());
    let mut rest = json.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        match first {
            b'"' => {
                let len = string_len(rest);
                memory += text(len);
                rest = rest.get(len + 1..).unwrap_or_default();
            }
            b'[' | b'{' => {
                let is_empty = rest
                    .iter()
                    .find(|byte| !byte.is_ascii_whitespace())
                    .is_some_and(|byte| matches!(byte, b']' | b'}'));
                open.push((first == b'[', usize::from(!is_empty)));
            }
            b',' => {
                if let Some((_, len)) = open.last_mut() {
                    *len += 1;
                }
            }
            b']' | b'}' => {
                memory += match open.pop() {
                    Some((true, len)) => array(len),
                    Some((false, len)) => object(len),
                    None => 0,
                };
            }
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                let len = rest.iter().take_while(|byte| is_part(byte)).count();
                memory += text(len + 1);
                rest = &rest[len..];
            }
            _ => {}
        }
    }
    memory
}

/// The length of the string that `rest` begins in, as it is spelled.
fn string_len(rest: &[u8]) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at.min(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{json::measure, patch::tests::values};

    proptest! {
        #[test]
        fn a_text_weighs_what_its_value_weighs(value in values()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            for text in [value.to_string(), pretty] {
                prop_assert_eq!(memory_of(&text), measure(&value).memory);
            }
        }
    }

    #[test]
    fn escapes_do_not_end_a_string() {
        assert_eq!(memory_of(r#"["a\"b,[[",1]"#), array(2) + 2 * MIN_BLOCK);
    }
}
