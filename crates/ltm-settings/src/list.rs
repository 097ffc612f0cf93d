//! Lists: an array in a TOML file, or text with commas, because a variable holds only text.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelling {
    Text(String),
    List(Vec<String>),
}

/// Reads a list, or text with commas. Empty items are left out.
///
/// # Errors
///
/// The value is neither.
pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = match Spelling::deserialize(deserializer)? {
        Spelling::Text(text) => text.split(',').map(str::to_owned).collect(),
        Spelling::List(list) => list,
    };
    let items = list.iter().map(|item| item.trim().to_owned());
    Ok(items.filter(|item| !item.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_an_array_or_text_with_commas() {
        assert_eq!(list(json!(["a", " b ", ""])).unwrap(), ["a", "b"]);
        assert_eq!(list(json!("a, b,")).unwrap(), ["a", "b"]);
        assert!(list(json!("")).unwrap().is_empty());
        assert!(list(json!(7)).is_err());
    }
}
