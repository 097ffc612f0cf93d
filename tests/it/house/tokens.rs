//! Just enough of Rust's grammar to find paths: no comments, no literals.

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Names with `::` between: `use`, `crate::a::B`.
    Path(Vec<String>),
    /// The text of an attribute: `cfg(test)`.
    Attribute(String),
    /// Any other character.
    Mark(char),
}

/// The tokens of a source.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = if first.is_whitespace() {
            after
        } else if let Some(length) = ignored(rest) {
            &rest[length..]
        } else if let Some(length) = attribute(rest) {
            let inside = rest[..length].trim_start_matches(['#', '!', '[']);
            tokens.push(Token::Attribute(inside.trim_end_matches(']').into()));
            &rest[length..]
        } else if let Some(name) = name(rest) {
            add_name(&mut tokens, name);
            &rest[name.len()..]
        } else {
            tokens.push(Token::Mark(first));
            after
        };
    }
    tokens
}

/// Adds a name: to the path before it, if two colons stand between.
fn add_name(tokens: &mut Vec<Token>, name: &str) {
    if let [.., Token::Path(_), Token::Mark(':'), Token::Mark(':')] = tokens[..] {
        tokens.truncate(tokens.len() - 2);
        if let Some(Token::Path(path)) = tokens.last_mut() {
            path.push(name.into());
        }
    } else {
        tokens.push(Token::Path(vec![name.into()]));
    }
}

fn name(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &text[..end.unwrap_or(text.len())];
    (!name.is_empty()).then_some(name)
}

/// How long the comment or literal is that a text begins with.
fn ignored(text: &str) -> Option<usize> {
    let to = |end: &str| text.find(end).unwrap_or(text.len());
    if text.starts_with("//") {
        return Some(to("\n"));
    }
    if text.starts_with("/*") {
        return Some((to("*/") + 2).min(text.len()));
    }
    let literal = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = text.len() - literal.len();
    let hashes = literal.len() - literal.trim_start_matches('#').len();
    if prefix <= 2 && literal[hashes..].starts_with('"') && (hashes == 0 || prefix > 0) {
        let raw = text[..prefix].contains('r');
        let inside = &literal[hashes + 1..];
        let length = if raw {
            let end = format!("\"{}", "#".repeat(hashes));
            inside.find(&end).map_or(inside.len(), |at| at + end.len())
        } else {
            quoted(inside, '"')
        };
        return Some(prefix + hashes + 1 + length);
    }
    character(text)
}

/// How long a quoted text is, with the quote at its end.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// How long the character is that a text begins with. A lifetime is none.
fn character(text: &str) -> Option<usize> {
    let quoted_text = text.strip_prefix('b').unwrap_or(text);
    let inside = quoted_text.strip_prefix('\'')?;
    let mut characters = inside.chars();
    let first = characters.next()?;
    let is_one = first == '\\' || characters.next() == Some('\'');
    is_one.then(|| text.len() - inside.len() + quoted(inside, '\''))
}

/// How long the attribute is that a text begins with.
fn attribute(text: &str) -> Option<usize> {
    if !text.starts_with("#[") && !text.starts_with("#![") {
        return None;
    }
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if let Some(length) = ignored(&text[at..]) {
            at += length;
            continue;
        }
        let c = text[at..].chars().next()?;
        at += c.len_utf8();
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return Some(at),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_and_comments_literals_and_lifetimes_are_not() {
        let found = tokens(concat!(
            "#[doc = \"] use a\"] use x::y; // z::a\n /* b::c */ let s = \"d::\\\"e\"; ",
            "let r = r#\"f::\"g\"#; let c = '\"'; fn h<'a>(_: &'a i::J) {} b'\\'' k::l"
        ));
        let paths: Vec<String> = found
            .iter()
            .filter_map(|token| match token {
                Token::Path(path) => Some(path.join("::")),
                _ => None,
            })
            .collect();
        let expected = [
            "use", "x::y", "let", "s", "let", "r", "let", "c", "fn", "h", "a", "_", "a", "i::J",
            "k::l",
        ];
        assert_eq!(paths, expected);
        assert_eq!(found[0], Token::Attribute("doc = \"] use a\"".into()));
    }
}
