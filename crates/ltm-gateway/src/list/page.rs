//! One page of a list, and the change from one content of it to the next.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use ltm_store::{Page, Row};
use ltm_types::{Cursor, LtmId, ResetReason};
use serde::Serialize;
use serde_json::json;

/// One page of a list, the newest LTM first, as one read returned it.
#[derive(Debug)]
pub(crate) struct ListPage {
    /// A hash of the content: pages with the same cursor show the same.
    pub cursor: Cursor,
    rows: Vec<Row>,
    /// Where the next page starts, if there is one.
    next: Option<LtmId>,
}

/// The step from one content of a page to another. A client drops the rows in `removed`, adds `rows` in place
/// of those with the same id, and keeps the order of the ids, the highest first.
#[derive(Serialize)]
struct PageChange<'a> {
    rows: Vec<&'a Row>,
    removed: Vec<LtmId>,
    next: Option<LtmId>,
}

impl ListPage {
    /// The page as it was read. In a cluster, LTMs on a server that is down keep the rows that they had `before`.
    pub(crate) fn new(page: Page, before: Option<&Self>) -> Self {
        let Page {
            mut rows,
            next,
            unavailable,
            ..
        } = page;
        let known = before.into_iter().flat_map(|before| &before.rows);
        let kept = known.filter(|row| unavailable.contains(&row.id)).cloned();
        rows.extend(kept);
        rows.sort_by_key(|row| Reverse(row.id));
        let content = json!([rows, next]).to_string();
        let start = Cursor {
            seq: rows.len() as u64,
            check: 0,
        };
        Self {
            cursor: start.next_of_bytes(b"list", content.as_bytes()),
            rows,
            next,
        }
    }

    /// The message with the whole page.
    pub(crate) fn reset(&self, reason: ResetReason) -> String {
        let (rows, next) = (&self.rows, self.next);
        let reason = reason.as_str();
        let reset = json!({"reason": reason, "rows": rows, "next": next});
        self.message("reset", &reset.to_string())
    }

    /// The message that leads from `before` to this page.
    pub(crate) fn change(&self, before: &Self) -> String {
        let change = json!(self.changed_since(before));
        self.message("change", &change.to_string())
    }

    /// The message that tells a subscriber that it has caught up.
    pub(crate) fn live(&self) -> String {
        self.message("live", "true")
    }

    /// A message. The cursor comes first, so that an event finds it in the first part of a large message.
    fn message(&self, name: &str, value: &str) -> String {
        format!("{{\"cursor\":\"{}\",\"{name}\":{value}}}", self.cursor)
    }

    fn changed_since(&self, before: &Self) -> PageChange<'_> {
        let known: HashMap<LtmId, &Row> = before.rows.iter().map(|row| (row.id, row)).collect();
        let kept: HashSet<LtmId> = self.rows.iter().map(|row| row.id).collect();
        let is_new = |row: &&Row| known.get(&row.id) != Some(row);
        let ids = before.rows.iter().map(|row| row.id);
        PageChange {
            rows: self.rows.iter().filter(is_new).collect(),
            removed: ids.filter(|id| !kept.contains(id)).collect(),
            next: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn rows(numbers: &[(u64, u64)], next: Option<u64>) -> ListPage {
        let row = |&(id, snapshots_count): &(u64, u64)| Row {
            id: LtmId::new(id).unwrap(),
            name: "a name".into(),
            fqn: "app.Agent".into(),
            key: None,
            status: None,
            snapshots_count,
            created_at: "then".into(),
            updated_at: "now".into(),
        };
        let page = Page {
            rows: numbers.iter().map(row).collect(),
            next: next.map(|id| LtmId::new(id).unwrap()),
            ..Page::default()
        };
        ListPage::new(page, None)
    }

    fn some_rows() -> impl Strategy<Value = ListPage> {
        let numbers = prop::collection::btree_map(1u64..12, 0u64..3, 0..8);
        (numbers, prop::option::of(1u64..4)).prop_map(|(numbers, next)| {
            let numbers: Vec<_> = numbers.into_iter().rev().collect();
            rows(&numbers, next)
        })
    }

    fn message(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// What a client holds that does as the documentation says.
    fn fold(held: &Value, change: &Value) -> Value {
        let id = |row: &Value| row["id"].as_u64().unwrap();
        let mut rows = held["rows"].as_array().unwrap().clone();
        let changed = change["rows"].as_array().unwrap();
        let removed = change["removed"].as_array().unwrap();
        rows.retain(|row| !removed.contains(&row["id"]));
        rows.retain(|row| !changed.iter().any(|it| id(it) == id(row)));
        rows.extend(changed.iter().cloned());
        rows.sort_by_key(|row| std::cmp::Reverse(id(row)));
        json!({"rows": rows, "next": change["next"]})
    }

    proptest! {
        #[test]
        fn a_change_leads_from_any_content_to_any_other(before in some_rows(), after in some_rows()) {
            let held = &message(&before.reset(ResetReason::Requested))["reset"];
            let change = message(&after.change(&before));
            let reset = message(&after.reset(ResetReason::Trimmed));
            prop_assert_eq!(&change["cursor"], &reset["cursor"]);
            let mut now = fold(held, &change["change"]);
            now["reason"] = json!("trimmed");
            prop_assert_eq!(&now, &reset["reset"]);
        }

        #[test]
        fn a_cursor_names_what_a_list_shows(before in some_rows(), after in some_rows()) {
            let same = before.rows == after.rows && before.next == after.next;
            prop_assert_eq!(before.cursor == after.cursor, same);
        }

        #[test]
        fn a_change_has_nothing_that_was_there_already(before in some_rows(), after in some_rows()) {
            let change = after.changed_since(&before);
            prop_assert!(change.rows.iter().all(|row| !before.rows.contains(row)));
        }
    }
}
