//! Finds the place that a JSON Pointer names, in one walk from the front.

use jsonptr::{Pointer, Token};
use ltm_types::shorten;
use serde_json::{Map, Value};

/// The place of a value in the array or object that holds it.
pub(super) enum Place<'a> {
    /// The member of an object, which may not exist yet.
    Member {
        members: &'a mut Map<String, Value>,
        key: String,
    },
    /// The element of an array; its index may be the length of the array.
    Element {
        items: &'a mut Vec<Value>,
        index: usize,
    },
}

/// The value at `path`.
///
/// # Errors
///
/// Names the longest part of the path that exists.
pub(super) fn value<'a>(root: &'a Value, path: &Pointer) -> Result<&'a Value, String> {
    let mut at = root;
    for (walked, token) in path.tokens().enumerate() {
        at = match at {
            Value::Object(members) => members.get(&*token.decoded()),
            Value::Array(items) => index(&token, items.len()).and_then(|index| items.get(index)),
            _ => None,
        }
        .ok_or_else(|| missing(path, walked))?;
    }
    Ok(at)
}

/// The place at `path`. Its last token may name a new member, or the end of an array.
///
/// # Errors
///
/// The array or object that would hold it does not exist, or the last token does not fit it.
pub(super) fn place<'a>(root: &'a mut Value, path: &'a Pointer) -> Result<Place<'a>, String> {
    let (parent, last) = path.split_back().ok_or("the path is empty")?;
    let mut at = root;
    for (walked, token) in parent.tokens().enumerate() {
        at = match at {
            Value::Object(members) => members.get_mut(&*token.decoded()),
            Value::Array(items) => {
                index(&token, items.len()).and_then(|index| items.get_mut(index))
            }
            _ => None,
        }
        .ok_or_else(|| missing(parent, walked))?;
    }
    let wrong = |detail: String| {
        let shown = shorten(path.as_str());
        format!("`{shown}` does not fit the value at its parent path: {detail}")
    };
    match at {
        Value::Object(members) => Ok(Place::Member {
            members,
            key: last.decoded().into_owned(),
        }),
        Value::Array(items) => match index(&last, items.len()) {
            Some(index) => Ok(Place::Element { items, index }),
            None => Err(wrong(format!("an array of {} elements", items.len()))),
        },
        _ => Err(wrong("neither an array nor an object".into())),
    }
}

/// The index that a token names in an array of this length, which may be the length itself.
fn index(token: &Token<'_>, len: usize) -> Option<usize> {
    token.to_index().ok()?.for_len_incl(len).ok()
}

/// The error for a path of which only the first `walked` tokens exist.
pub(super) fn missing(path: &Pointer, walked: usize) -> String {
    let shown = shorten(path.as_str());
    let found = path
        .tokens()
        .take(walked)
        .fold(String::new(), |found, token| found + "/" + token.encoded());
    if found.is_empty() {
        return format!("the state has no value at `{shown}`");
    }
    let found = shorten(&found);
    format!("the state has no value at `{shown}`; it has one at `{found}`")
}
