//! Where in a JSON value a byte of its text stands.

/// The longest path that is shown, in bytes.
const MAX_PATH: usize = 200;
/// The most levels of a path. A text can have millions.
const MAX_LEVELS: usize = 64;

/// An array or object around a position.
enum Around<'a> {
    /// The index of the element.
    Array(usize),
    /// The key of the member as it is spelled, and whether its value has begun.
    Object(&'a str, bool),
}

/// The path of the value at the byte `at` of `text`, below `root`: `state.messages[2].score`. The text needs to be valid
/// JSON only up to there. A long path loses its end.
pub fn path_at(root: &str, text: &str, at: usize) -> String {
    let mut path = root.to_owned();
    for around in around(text, at) {
        match around {
            Around::Array(index) => path.push_str(&format!("[{index}]")),
            Around::Object(key, true) if path.is_empty() => path.push_str(key),
            Around::Object(key, true) => {
                path.push('.');
                path.push_str(key);
            }
            Around::Object(_, false) => {}
        }
        if path.len() > MAX_PATH {
            let end = (0..=MAX_PATH).rev().find(|end| path.is_char_boundary(*end));
            path.truncate(end.unwrap_or_default());
            path.push('…');
            break;
        }
    }
    path
}

/// The outermost arrays and objects around a position.
fn around(text: &str, at: usize) -> Vec<Around<'_>> {
    let bytes = &text.as_bytes()[..at.min(text.len())];
    let mut all = Vec::new();
    let mut hidden = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        let is_deep = all.len() == MAX_LEVELS;
        match (bytes[start], all.last_mut()) {
            (b'{' | b'[', _) if is_deep => hidden += 1,
            (b'}' | b']', _) if hidden > 0 => hidden -= 1,
            (b'{', _) => all.push(Around::Object("", false)),
            (b'[', _) => all.push(Around::Array(0)),
            (b'}' | b']', _) => drop(all.pop()),
            (b',' | b':', _) if hidden > 0 => {}
            (b',', Some(Around::Array(index))) => *index += 1,
            (b',', Some(Around::Object(key, begun))) => (*key, *begun) = ("", false),
            (b':', Some(Around::Object(_, begun))) => *begun = true,
            (b'"', last) => {
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if hidden == 0
                    && let Some(Around::Object(key, false)) = last
                {
                    *key = text.get(start + 1..at).unwrap_or_default();
                }
                at += 1;
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> String {
        let at = text.find('?').unwrap();
        path_at("", text, at)
    }

    #[test]
    fn a_path_leads_to_the_value_at_a_position() {
        assert_eq!(path("?"), "");
        assert_eq!(path(r#"{"a":?"#), "a");
        assert_eq!(
            path(r#"{"a":{"x":[1,{"b":"}]"},[]]},"c":[{"d":0},?"#),
            "c[1]"
        );
        assert_eq!(
            path(r#"{"state":{"a\"b":[[1,2],{"é":?"#),
            "state.a\\\"b[1].é"
        );
        assert_eq!(path(r#"{"a":1,?"#), "");
        assert_eq!(path_at("state", "[1,?", 3), "state[1]");
    }

    #[test]
    fn a_path_has_a_bounded_length() {
        let text = "[".repeat(100_000) + "?";
        assert!(path(&text).len() < 2 * MAX_PATH);
        let deep = "[".repeat(100) + "{\"k\":1,\"l\":2}" + &"]".repeat(100);
        assert_eq!(path(&format!("[{deep},?")), "[1]");
    }
}
