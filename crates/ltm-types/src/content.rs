//! The content of an entry, by its kind.

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{Cursor, Entry, Kind, Rollback};

/// The part of an entry that the services rely on. They pass on the rest unread.
#[derive(Debug)]
pub enum Content<'a> {
    /// A step of the LTM, and the patch from the state before to the state after.
    Snapshot {
        /// RFC 6902.
        patch: &'a RawValue,
    },
    /// A rollback.
    Rollback(Rollback<'a>),
    /// The error that was recorded or changed.
    Error {
        /// The id of the error.
        id: Uuid,
    },
    /// Nothing: the end of a log, or an entry of a newer version.
    Nothing,
}

/// An entry whose payload does not fit its kind.
#[derive(Debug, thiserror::Error)]
#[error("invalid payload of a {kind}: {detail}")]
pub struct ContentError {
    kind: Kind,
    detail: String,
    /// The cursor of the entry.
    pub at: Cursor,
}

#[derive(Deserialize)]
struct Snapshot<'a> {
    #[serde(borrow)]
    patch: &'a RawValue,
}

#[derive(Deserialize)]
struct Error {
    id: Uuid,
}

impl Entry {
    /// The content of this entry.
    ///
    /// # Errors
    ///
    /// [`ContentError`] if the payload is not a JSON object with the members that its kind needs. The services write no such
    /// entry, but other programs may.
    pub fn content(&self) -> Result<Content<'_>, ContentError> {
        let fault = |detail: String| ContentError {
            kind: self.kind.clone(),
            detail,
            at: self.cursor,
        };
        if matches!(self.kind, Kind::Deleted | Kind::Other(_)) {
            return Ok(Content::Nothing);
        }
        // serde would read an array as the members in their order, but it does not fit into a message.
        if !self.payload.trim_ascii_start().starts_with('{') {
            return Err(fault("it is not a JSON object".into()));
        }
        let json = |e: serde_json::Error| fault(e.to_string());
        let content = match self.kind {
            Kind::Snapshot => {
                let Snapshot { patch } = serde_json::from_str(&self.payload).map_err(json)?;
                Content::Snapshot { patch }
            }
            Kind::Rollback => Content::Rollback(serde_json::from_str(&self.payload).map_err(json)?),
            _ => {
                let Error { id } = serde_json::from_str(&self.payload).map_err(json)?;
                Content::Error { id }
            }
        };
        match content.patch() {
            Some(patch) if !patch.get().starts_with('[') => {
                Err(fault("its patch is not an array".into()))
            }
            _ => Ok(content),
        }
    }
}

impl<'a> Content<'a> {
    /// The patch from the state before to the state after, if the entry has one.
    pub fn patch(&self) -> Option<&'a RawValue> {
        match self {
            Self::Snapshot { patch } => Some(patch),
            Self::Rollback(back) => Some(back.rollback.patch),
            Self::Error { .. } | Self::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, payload: &str) -> Result<String, String> {
        let entry = Entry::after(Cursor::ORIGIN, Kind::from_name(kind), payload.into());
        let content = entry.content().map_err(|e| e.to_string())?;
        Ok(content.patch().map_or("", RawValue::get).into())
    }

    #[test]
    fn what_the_services_write_is_read() {
        assert_eq!(
            of("snapshot", r#"{"time":"T","patch":[1.00]}"#),
            Ok("[1.00]".into())
        );
        let back = r#"{"snapshot_index":null,"rollback":{"time":"T","reason":"r","patch":[],"snapshots_count":1}}"#;
        assert_eq!(of("rollback", back), Ok("[]".into()));
        let error = r#"{"id":"00000000-0000-4000-8000-000000000001","reason":"r"}"#;
        assert_eq!(of("error", error), Ok(String::new()));
        assert_eq!(of("deleted", "{}"), Ok(String::new()));
    }

    #[test]
    fn what_a_newer_version_writes_is_not_looked_at() {
        assert_eq!(of("labelled", "no JSON"), Ok(String::new()));
    }

    #[test]
    fn an_entry_that_is_not_what_its_kind_says_is_refused() {
        for (kind, payload) in [
            ("snapshot", ""),
            ("snapshot", "no JSON"),
            ("snapshot", "[[]]"),
            ("snapshot", "{}"),
            ("snapshot", r#"{"patch":{}}"#),
            ("snapshot", r#"{"patch":[]} and more"#),
            ("snapshot", r#"{"patch":[],"patch":[]}"#),
            ("rollback", r#"{"patch":[]}"#),
            ("rollback", r#"[null,["T","r",[],1]]"#),
            ("error", r#"{"id":"seven"}"#),
        ] {
            let refused = of(kind, payload).unwrap_err();
            assert!(refused.contains(kind), "{refused}");
        }
    }
}
