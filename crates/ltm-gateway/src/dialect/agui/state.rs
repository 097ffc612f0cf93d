//! What a client gets of a whole state.

use std::fmt;

use ltm_types::member::{MESSAGES, RUN, STATUS};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// What `_status` says about the run. Its text may be as large as a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Finished,
    Interrupted,
    Error,
    /// Any other value, or none.
    Other,
}

impl Status {
    /// The status with this value.
    pub(super) fn of(value: Option<&RawValue>) -> Self {
        // No spelling of these is longer.
        let value = value.filter(|value| value.get().len() <= 128);
        let text: Option<String> = value.and_then(|value| serde_json::from_str(value.get()).ok());
        match text.as_deref() {
            Some("finished") => Self::Finished,
            Some("interrupted") => Self::Interrupted,
            Some("error") => Self::Error,
            _ => Self::Other,
        }
    }
}

/// A member of a recorded LTM that belongs to the recording, and not to the state of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    Status,
    Run,
    Messages,
}

/// The members of an object, in their order.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of the object in a text; none if it is another value.
    pub(super) fn of(text: &'a RawValue) -> Self {
        serde_json::from_str(text.get()).unwrap_or(Self(Vec::new()))
    }

    /// The value of a member.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        // The last one counts, as in every parser.
        let mut found = self.0.iter().rev().filter(|(other, _)| other == name);
        found.next().map(|(_, value)| *value)
    }

    /// The text of a member, as it is spelled in JSON; `None` if it is no text.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.get(name)?.get();
        value.starts_with('"').then_some(value)
    }

    /// The members that have none of these names, each with a comma before it.
    pub(super) fn without(&self, names: &[&str]) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            if !names.contains(&&**name) {
                text.extend([",", &*quoted(name), ":", value.get()]);
            }
        }
        text
    }

    /// The value that a JSON Pointer through objects names.
    pub(super) fn at(&self, pointer: &str) -> Option<&'a RawValue> {
        let mut tokens = pointer.strip_prefix('/')?.split('/');
        let mut value = self.get(&unescaped(tokens.next()?))?;
        for token in tokens {
            value = Members::of(value).get(&unescaped(token))?;
        }
        Some(value)
    }

    /// The object without the members of the recording.
    pub(super) fn without_recording(&self) -> String {
        object(&self.without(&[STATUS, RUN, MESSAGES]))
    }
}

/// An object with these members, each with a comma before it.
pub(super) fn object(members: &str) -> String {
    format!("{{{}}}", members.strip_prefix(',').unwrap_or_default())
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_the_recording_are_left_out_and_the_others_keep_their_spelling() {
        let text =
            r#"{"_status":"active","a/b":{"c~d":[1.00]},"_run":{},"_messages":[],"n":1e400}"#;
        let text: &RawValue = serde_json::from_str(text).unwrap();
        let members = Members::of(text);
        assert_eq!(
            members.without_recording(),
            r#"{"a/b":{"c~d":[1.00]},"n":1e400}"#
        );
        assert_eq!(members.at("/a~1b/c~0d").unwrap().get(), "[1.00]");
        assert!(members.at("/a~1b/x").is_none() && members.at("").is_none());
        assert_eq!(members.text("_status"), Some(r#""active""#));
        assert!(members.text("_run").is_none());
    }

    #[test]
    fn only_the_texts_that_end_a_run_are_told_apart() {
        let of = |text: &str| Status::of(Some(serde_json::from_str(text).unwrap()));
        assert_eq!(of(r#""finished""#), Status::Finished);
        let escaped: String = "interrupted"
            .bytes()
            .map(|b| format!("\\u{b:04x}"))
            .collect();
        assert_eq!(of(&format!("\"{escaped}\"")), Status::Interrupted);
        assert_eq!(of(r#""error""#), Status::Error);
        for other in ["null", "7", r#""""#, r#""Error""#, r#"["error"]"#] {
            assert_eq!(of(other), Status::Other, "{other}");
        }
        assert_eq!(Status::of(None), Status::Other);
    }
}
