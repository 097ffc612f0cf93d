//! Grants: what a caller may do, with which LTMs.

use ltm_store::Shown;
use ltm_types::{LtmId, covers_class};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most ids and classes that one grant names.
const MAX_NAMED: usize = 1000;
/// The most characters of a wrong item that an error repeats.
const MAX_SHOWN: usize = 60;

/// What a caller may do. Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read documents, states, histories and lists, and follow LTMs.
    Read,
    /// Create LTMs, and write to their logs.
    Write,
    /// Delete LTMs.
    Admin,
}

impl Access {
    /// Its name in tokens and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    fn of(word: &str) -> Option<Self> {
        match word {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// What a caller may do with which LTMs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The highest access.
    access: Access,
    ltms: Ltms,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ltms {
    All,
    Some {
        ids: Vec<LtmId>,
        /// Classes, and prefixes of classes that end with `*`.
        classes: Vec<String>,
    },
}

/// Why `ltm` and `can` are not a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// `can` names no access.
    #[error("`can` must hold \"read\", \"write\" or \"admin\"")]
    NoAccess,
    /// `ltm` is too long.
    #[error("`ltm` has more than {MAX_NAMED} items")]
    TooMany,
    /// `ltm` is empty.
    #[error("`ltm` is empty; give ids, classes such as \"app.*\", or \"*\" for all LTMs")]
    NoLtm,
    /// An item of `ltm` has another form.
    #[error(
        "`ltm`: {0} is neither an id nor a class; examples are 42, \"app.Agent\", \"app.*\" and \"*\""
    )]
    InvalidItem(String),
}

impl Grant {
    /// The grant to do everything.
    pub fn everything() -> Self {
        Self {
            access: Access::Admin,
            ltms: Ltms::All,
        }
    }

    /// The grant that `ltm` and `can` describe. `ltm` is one item or a list of items: an id, a class such as `app.Agent`, a
    /// prefix of classes such as `app.*`, or `*` for all LTMs. `can` holds `read`, `write` or `admin`, as a list or as text
    /// with spaces.
    ///
    /// # Errors
    ///
    /// Which of the two is wrong, and what would be right.
    pub fn read(ltm: &Value, can: &Value) -> Result<Self, GrantError> {
        Ok(Self {
            access: access(can)?,
            ltms: ltms(ltm)?,
        })
    }

    /// Whether it allows this access to at least some LTM.
    pub fn includes(&self, access: Access) -> bool {
        self.access >= access
    }

    /// Whether it covers all LTMs.
    pub fn is_for_all(&self) -> bool {
        self.ltms == Ltms::All
    }

    /// Whether it covers this LTM, whatever its class.
    pub fn names(&self, id: LtmId) -> bool {
        match &self.ltms {
            Ltms::All => true,
            Ltms::Some { ids, .. } => ids.contains(&id),
        }
    }

    /// Whether it covers all LTMs of this class.
    pub fn covers_class(&self, class: &str) -> bool {
        match &self.ltms {
            Ltms::All => true,
            Ltms::Some { classes, .. } => {
                classes.iter().any(|pattern| covers_class(pattern, class))
            }
        }
    }

    /// The ids that it names.
    pub fn named(&self) -> &[LtmId] {
        match &self.ltms {
            Ltms::All => &[],
            Ltms::Some { ids, .. } => ids,
        }
    }

    /// The rows of a list that its holder may see.
    pub fn shown(&self) -> Shown<'_> {
        if self.is_for_all() {
            return Shown::All;
        }
        Shown::Some(Box::new(|id, class| {
            self.names(id) || self.covers_class(class)
        }))
    }
}

fn access(can: &Value) -> Result<Access, GrantError> {
    let words: Vec<&str> = match can {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    // An unknown word may be for another service.
    let known = words.into_iter().filter_map(Access::of);
    known.max().ok_or(GrantError::NoAccess)
}

fn ltms(ltm: &Value) -> Result<Ltms, GrantError> {
    let one = std::slice::from_ref(ltm);
    let list = ltm.as_array().map_or(one, Vec::as_slice);
    if list.len() > MAX_NAMED {
        return Err(GrantError::TooMany);
    }
    let (mut ids, mut classes) = (Vec::new(), Vec::new());
    for item in list {
        let text = match item {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(invalid(item)),
        };
        if text == "*" {
            return Ok(Ltms::All);
        }
        let prefix = text.strip_suffix('*').unwrap_or(&text);
        if let Ok(id) = text.parse() {
            ids.push(id);
        } else if item.is_string() && !prefix.is_empty() && !prefix.contains('*') {
            classes.push(text);
        } else {
            return Err(invalid(item));
        }
    }
    if ids.is_empty() && classes.is_empty() {
        return Err(GrantError::NoLtm);
    }
    Ok(Ltms::Some { ids, classes })
}

fn invalid(item: &Value) -> GrantError {
    GrantError::InvalidItem(item.to_string().chars().take(MAX_SHOWN).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn grant(ltm: Value, can: Value) -> Grant {
        Grant::read(&ltm, &can).unwrap()
    }

    fn id(number: u64) -> LtmId {
        LtmId::new(number).unwrap()
    }

    #[test]
    fn a_grant_is_for_what_it_names_and_nothing_else() {
        let all = grant(json!("*"), json!("read"));
        assert!(all.names(id(1)) && all.covers_class("x") && all.is_for_all());
        let some = grant(json!([42, "7", "app.*", "lib.Exact"]), json!(["write"]));
        assert!(some.names(id(42)) && some.names(id(7)) && !some.names(id(1)));
        for class in ["app.Agent", "app.", "app.deep.er", "lib.Exact"] {
            assert!(some.covers_class(class), "{class}");
        }
        for class in ["application", "ap", "lib.Exactly", "LIB.Exact", ""] {
            assert!(!some.covers_class(class), "{class}");
        }
        assert!(some.includes(Access::Read) && some.includes(Access::Write));
        assert!(!some.includes(Access::Admin));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_named() {
        for ltm in [
            json!([]),
            json!(null),
            json!(-1),
            json!(1.5),
            json!(["**"]),
            json!({"a": 1}),
            json!(["a*b"]),
            json!(true),
        ] {
            assert!(
                Grant::read(&ltm, &json!("read"))
                    .unwrap_err()
                    .to_string()
                    .contains("`ltm`"),
                "{ltm}"
            );
        }
        for can in [json!([]), json!(null), json!("delete"), json!(1)] {
            assert!(
                Grant::read(&json!("*"), &can)
                    .unwrap_err()
                    .to_string()
                    .contains("`can`"),
                "{can}"
            );
        }
        let many: Vec<u64> = (1..=1001).collect();
        assert!(Grant::read(&json!(many), &json!("read")).is_err());
    }

    #[test]
    fn a_grant_survives_its_way_through_a_ticket() {
        let all = grant(json!("*"), json!("admin"));
        let some = grant(json!([42, "app.*"]), json!("read other"));
        for grant in [all, some] {
            let text = serde_json::to_string(&grant).unwrap();
            assert_eq!(serde_json::from_str::<Grant>(&text).unwrap(), grant);
        }
    }

    proptest! {
        #[test]
        fn a_pattern_covers_exactly_what_begins_like_it(begin in "[a-z.]{1,6}", class in "[a-z.]{0,8}") {
            let grant = grant(json!(format!("{begin}*")), json!("read"));
            prop_assert_eq!(grant.covers_class(&class), class.starts_with(&begin));
        }
    }
}
