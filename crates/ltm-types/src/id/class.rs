//! Patterns of classes.

/// Whether `pattern` is this class, or a prefix of it with a `*` at the end: `app.*`.
pub fn covers_class(pattern: &str, class: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => class.starts_with(prefix),
        None => class == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_class_or_a_prefix_of_classes() {
        for (pattern, class) in [
            ("app.*", "app.Agent"),
            ("app.*", "app."),
            ("app.Agent", "app.Agent"),
            ("*", "x"),
        ] {
            assert!(covers_class(pattern, class), "{pattern} {class}");
        }
        for (pattern, class) in [
            ("app.*", "apple.Agent"),
            ("app.Agent", "app.Agents"),
            ("app.Agent", "app"),
        ] {
            assert!(!covers_class(pattern, class), "{pattern} {class}");
        }
    }
}
