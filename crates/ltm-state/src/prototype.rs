//! Paths that clients in JavaScript reject, because they can lead to the prototype of all objects.
//!
//! `fast-json-patch`, for example, throws at a path with `__proto__` or `constructor/prototype`. So a patch must not
//! have one: the object around such a member is replaced instead. The state itself is never replaced, so it must not have a
//! member `__proto__`. Logs of older versions may have one.

use jsonptr::Pointer;

/// The names of such members.
pub(crate) const RESERVED: [&str; 2] = ["__proto__", "prototype"];

/// Whether clients reject the path to the member `key` of the object at `parent`.
pub(crate) fn is_reserved(parent: &Pointer, key: &str) -> bool {
    match key {
        "__proto__" => true,
        "prototype" => parent
            .last()
            .is_some_and(|token| token.encoded() == "constructor"),
        _ => false,
    }
}

/// Whether clients reject a path.
pub(crate) fn is_rejected(path: &Pointer) -> bool {
    // Most paths are done with here.
    let text = path.as_str();
    if !RESERVED.iter().any(|key| text.contains(key)) {
        return false;
    }
    let mut parent = Pointer::root();
    let mut rest = path;
    while let Some((token, more)) = rest.split_front() {
        if is_reserved(parent, token.encoded()) {
            return true;
        }
        rest = more;
        parent = path.strip_suffix(rest).unwrap_or(path);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_rejected_if_it_can_lead_to_a_prototype() {
        for (path, rejected) in [
            ("/words/__proto__", true),
            ("/words/__proto__/a", true),
            ("/__proto__/__proto__", true),
            ("/constructor/prototype", true),
            ("/a/constructor/prototype/b", true),
            ("/__proto__", true),
            ("/__proto__/a", true),
            ("/prototype", false),
            ("/a/prototype", false),
            ("/a/constructor", false),
            ("/a/__proto__x", false),
        ] {
            assert_eq!(
                is_rejected(Pointer::parse(path).unwrap()),
                rejected,
                "{path}"
            );
        }
    }
}
