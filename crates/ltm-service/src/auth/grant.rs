//! What a caller may do, with which LTMs.

use ltm_store::Shown;
use ltm_types::LtmId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most LTMs and patterns that one grant names.
const MAX_NAMED: usize = 1000;

/// What may be done. Each includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Documents, states, histories and lists are read, and LTMs followed.
    Read,
    /// LTMs are created, and their logs written to.
    Write,
    /// LTMs are deleted.
    Admin,
}

impl Access {
    /// The word for it in tokens and files.
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

/// What may be done with which LTMs.
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
        /// Classes, and begins of classes where a `*` ends them.
        classes: Vec<String>,
    },
}

impl Grant {
    /// Everything.
    pub fn everything() -> Self {
        Self {
            access: Access::Admin,
            ltms: Ltms::All,
        }
    }

    /// What `ltm` and `can` say. `ltm` is one of, or a list of: an id, a class such as `app.Agent`, the begin of classes
    /// such as `app.*`, or `*` for all. `can` holds `read`, `write` or `admin`: a list, or text with spaces.
    ///
    /// # Errors
    ///
    /// Which of the two is wrong, and what would be right.
    pub fn read(ltm: &Value, can: &Value) -> Result<Self, String> {
        Ok(Self {
            access: access(can)?,
            ltms: ltms(ltm)?,
        })
    }

    /// Whether this may be done with some LTM.
    pub fn includes(&self, access: Access) -> bool {
        self.access >= access
    }

    /// Whether it is about all LTMs.
    pub fn is_for_all(&self) -> bool {
        self.ltms == Ltms::All
    }

    /// Whether it names this LTM by its id, or all.
    pub fn names(&self, id: LtmId) -> bool {
        match &self.ltms {
            Ltms::All => true,
            Ltms::Some { ids, .. } => ids.contains(&id),
        }
    }

    /// Whether it is about LTMs of this class.
    pub fn covers_class(&self, class: &str) -> bool {
        match &self.ltms {
            Ltms::All => true,
            Ltms::Some { classes, .. } => classes.iter().any(|pattern| matches(pattern, class)),
        }
    }

    /// Which rows of a list it shows.
    pub fn shown(&self) -> Shown<'_> {
        if self.is_for_all() {
            return Shown::All;
        }
        Shown::Some(Box::new(|id, class| {
            self.names(id) || self.covers_class(class)
        }))
    }
}

/// Whether a class is the one that a pattern names, or begins as it says.
fn matches(pattern: &str, class: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => class.starts_with(begin),
        None => class == pattern,
    }
}

fn access(can: &Value) -> Result<Access, String> {
    let words: Vec<&str> = match can {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    // Words that are not known may be another service's.
    let known = words.into_iter().filter_map(Access::of);
    let most = known.max();
    most.ok_or_else(|| "`can` must hold \"read\", \"write\" or \"admin\"".into())
}

fn ltms(ltm: &Value) -> Result<Ltms, String> {
    let one = std::slice::from_ref(ltm);
    let list = ltm.as_array().map_or(one, Vec::as_slice);
    if list.len() > MAX_NAMED {
        return Err(format!("`ltm` names more than {MAX_NAMED}"));
    }
    let (mut ids, mut classes) = (Vec::new(), Vec::new());
    for item in list {
        let text = match item {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(wrong(item)),
        };
        if text == "*" {
            return Ok(Ltms::All);
        }
        let inside = text.strip_suffix('*').unwrap_or(&text);
        if let Ok(id) = text.parse() {
            ids.push(id);
        } else if item.is_string() && !inside.is_empty() && !inside.contains('*') {
            classes.push(text);
        } else {
            return Err(wrong(item));
        }
    }
    if ids.is_empty() && classes.is_empty() {
        return Err(
            "`ltm` names no LTM; give ids, classes such as \"app.*\", or \"*\" for all".into(),
        );
    }
    Ok(Ltms::Some { ids, classes })
}

fn wrong(item: &Value) -> String {
    let shown: String = item.to_string().chars().take(60).collect();
    format!(
        "`ltm`: {shown} is neither an id nor a class, such as 42, \"app.Agent\", \"app.*\" or \"*\""
    )
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
                    .contains("`ltm`"),
                "{ltm}"
            );
        }
        for can in [json!([]), json!(null), json!("delete"), json!(1)] {
            assert!(
                Grant::read(&json!("*"), &can)
                    .unwrap_err()
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
