//! A second implementation of RFC 6902, so that the services are not checked against themselves.

use serde_json::{Map, Value};

/// Applies a patch, or says why it does not apply. In that case the document may be partly changed.
pub fn apply(document: &mut Value, patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().ok_or("a patch is an array")? {
        apply_one(document, operation).map_err(|e| format!("{e} in {operation}"))?;
    }
    Ok(())
}

/// The state that results from the patches of these snapshots, starting from `{}`.
pub fn fold<'a>(snapshots: impl IntoIterator<Item = &'a Value>) -> Value {
    let mut state = Value::Object(Map::new());
    for snapshot in snapshots {
        apply(&mut state, &snapshot["patch"]).expect("a recorded patch applies");
    }
    state
}

fn apply_one(document: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |name: &str| operation[name].as_str().ok_or(format!("no {name}"));
    let value = || operation.get("value").cloned().ok_or("no value");
    let path = tokens(text("path")?)?;
    match text("op")? {
        "add" => add(document, &path, value()?),
        "remove" => remove(document, &path).map(drop),
        "replace" => {
            *find(document, &path)? = value()?;
            Ok(())
        }
        "move" => {
            let from = tokens(text("from")?)?;
            if path.len() > from.len() && path.starts_with(&from) {
                return Err("into itself".into());
            }
            let moved = remove(document, &from)?;
            add(document, &path, moved)
        }
        "copy" => {
            let copied = find(document, &tokens(text("from")?)?)?.clone();
            add(document, &path, copied)
        }
        "test" if same(find(document, &path)?, &value()?) => Ok(()),
        "test" => Err("not equal".into()),
        other => Err(format!("no operation {other}")),
    }
}

fn tokens(pointer: &str) -> Result<Vec<String>, String> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let rest = pointer.strip_prefix('/').ok_or("a pointer begins with /")?;
    Ok(rest
        .split('/')
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect())
}

fn index(token: &str, length: usize) -> Result<usize, String> {
    if token != "0" && token.starts_with('0') || !token.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{token:?} is no index"));
    }
    let index: usize = token
        .parse()
        .map_err(|_| format!("{token:?} is no index"))?;
    if index > length {
        Err(format!("{index} is out of bounds"))
    } else {
        Ok(index)
    }
}

fn find<'a>(document: &'a mut Value, path: &[String]) -> Result<&'a mut Value, String> {
    let mut place = document;
    for token in path {
        place = match place {
            Value::Object(members) => members
                .get_mut(token)
                .ok_or(format!("no member {token:?}"))?,
            Value::Array(items) => {
                let at = index(token, items.len())?;
                items.get_mut(at).ok_or(format!("no item {at}"))?
            }
            _ => return Err(format!("nothing below, and {token:?} wanted")),
        };
    }
    Ok(place)
}

fn add(document: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    let Some((last, parents)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match find(document, parents)? {
        Value::Object(members) => drop(members.insert(last.clone(), value)),
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => items.insert(index(last, items.len())?, value),
        _ => return Err("its parent holds nothing".into()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &[String]) -> Result<Value, String> {
    let (last, parents) = path.split_last().ok_or("the whole document")?;
    match find(document, parents)? {
        Value::Object(members) => members.remove(last).ok_or(format!("no member {last:?}")),
        Value::Array(items) => match index(last, items.len())? {
            at if at < items.len() => Ok(items.remove(at)),
            at => Err(format!("no item {at}")),
        },
        _ => Err("its parent holds nothing".into()),
    }
}

/// Whether two values are equal. Numbers are compared as 64-bit integers if both are, otherwise as doubles.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y
                || !(x.is_i64() && y.is_i64()) && x.as_f64().is_some() && x.as_f64() == y.as_f64()
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    #[test]
    fn the_public_suite_passes() {
        for file in ["tests.json", "spec_tests.json"] {
            let suite: Value =
                serde_json::from_str(&data(&format!("json-patch-suite/{file}"))).unwrap();
            let enabled = suite
                .as_array()
                .unwrap()
                .iter()
                .filter(|case| case["disabled"] != true);
            for case in enabled.filter(|case| case.get("patch").is_some()) {
                let mut document = case["doc"].clone();
                let outcome = apply(&mut document, &case["patch"]);
                assert_eq!(
                    outcome.is_err(),
                    case.get("error").is_some(),
                    "{case}: {outcome:?}"
                );
                if let (Ok(()), Some(expected)) = (outcome, case.get("expected")) {
                    assert!(same(&document, expected), "{case}: {document}");
                }
            }
        }
    }
}
