//! The operations that turn a document of Flou into a log.
//!
//! The document holds the current history, and the snapshots that each rollback took out. A manual rollback
//! kept the beginning that the histories before and after it have in common. A rollback that was undone
//! brought back a whole earlier history.

use serde::Deserialize;
use serde_json::Value;

/// A document as Flou's `GET /ltm/{id}?rollbacks=true` returns it.
#[derive(Debug, Deserialize)]
pub(crate) struct FlouDocument {
    pub(crate) id: Option<u64>,
    pub(crate) name: Option<String>,
    pub(crate) fqn: String,
    /// Only documents of ltm-live have it.
    pub(crate) key: Option<String>,
    #[serde(default)]
    pub(crate) params: Value,
    #[serde(default)]
    pub(crate) structure: Value,
    #[serde(default)]
    pub(crate) concurrent_instances: Value,
    pub(crate) playground: Option<bool>,
    pub(crate) created_at: Option<String>,
    pub(crate) state: Value,
    pub(crate) snapshots: Vec<Value>,
    #[serde(default)]
    pub(crate) rollbacks: Vec<TakenOut>,
    /// The first rollback that is not in a document of ltm-live.
    pub(crate) next_rollback: Option<u64>,
    #[serde(default)]
    pub(crate) errors: Vec<Value>,
}

/// A rollback and the snapshots that it took out.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TakenOut {
    pub(crate) time: Option<String>,
    pub(crate) reason: String,
    pub(crate) snapshots: Vec<Value>,
}

/// One entry of the log to write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operation<'a> {
    /// Create the LTM with this snapshot.
    Create(&'a Value),
    /// Append this snapshot.
    Append(&'a Value),
    /// Roll back to the first `kept` snapshots. In a replay the engine was about to take the next one again.
    Back {
        kept: u64,
        replay: bool,
        time: Option<&'a str>,
    },
    /// Undo this rollback.
    Undo { index: u64, time: Option<&'a str> },
    /// Record this error.
    Error(&'a Value),
}

/// The reason of a rollback that undid an earlier one.
const UNDONE: &str = "recover rollback";

impl FlouDocument {
    /// The operations that make the document, in order; empty if the document has no snapshots.
    pub(crate) fn operations(&self) -> Vec<Operation<'_>> {
        let histories: Vec<&[Value]> = self
            .rollbacks
            .iter()
            .map(|taken_out| taken_out.snapshots.as_slice())
            .chain([self.snapshots.as_slice()])
            .collect();
        let Some((first, rest)) = histories.first().and_then(|all| all.split_first()) else {
            return Vec::new();
        };
        let mut operations = vec![Operation::Create(first)];
        operations.extend(rest.iter().map(Operation::Append));
        for (nth, (taken_out, after)) in self.rollbacks.iter().zip(&histories[1..]).enumerate() {
            let back = go_back(taken_out, after, &histories[..=nth]);
            operations.push(back.0);
            operations.extend(after[back.1..].iter().map(Operation::Append));
        }
        operations.extend(self.errors.iter().map(Operation::Error));
        operations
    }

    /// The rollback that rollback `nth` undid, if it undid one.
    pub(crate) fn undone_by(&self, nth: usize) -> Option<u64> {
        let taken_out = self.rollbacks.get(nth)?;
        let next = self.rollbacks.get(nth + 1);
        let after = next.map_or(&self.snapshots, |next| &next.snapshots);
        let histories: Vec<&[Value]> = self.rollbacks[..=nth]
            .iter()
            .map(|taken_out| taken_out.snapshots.as_slice())
            .collect();
        match go_back(taken_out, after, &histories).0 {
            Operation::Undo { index, .. } => Some(index),
            _ => None,
        }
    }
}

/// The history after these operations.
pub(crate) fn history_after<'a>(operations: &[Operation<'a>]) -> Vec<&'a Value> {
    let mut current = Vec::new();
    let mut taken_out: Vec<Vec<&Value>> = Vec::new();
    for operation in operations {
        let to = match *operation {
            Operation::Create(step) | Operation::Append(step) => {
                current.push(step);
                continue;
            }
            Operation::Error(_) => continue,
            Operation::Back { kept, .. } => {
                let kept = usize::try_from(kept).unwrap_or(usize::MAX);
                current[..kept.min(current.len())].to_vec()
            }
            Operation::Undo { index, .. } => {
                let undone = usize::try_from(index)
                    .ok()
                    .and_then(|index| taken_out.get(index));
                undone.cloned().unwrap_or_default()
            }
        };
        taken_out.push(std::mem::replace(&mut current, to));
    }
    current
}

/// The rollback that leads to a history that begins as `after` does, and how many snapshots of `after` it
/// restores. `histories` are the earlier histories, up to the one that it takes out.
fn go_back<'a>(
    taken_out: &'a TakenOut,
    after: &[Value],
    histories: &[&[Value]],
) -> (Operation<'a>, usize) {
    let time = taken_out.time.as_deref();
    if taken_out.reason == UNDONE {
        let earlier = histories
            .split_last()
            .map_or(&[][..], |(_, earlier)| earlier);
        let whole = earlier
            .iter()
            .enumerate()
            .filter(|(_, history)| after.starts_with(history))
            .max_by_key(|(_, history)| history.len());
        if let Some((index, history)) = whole {
            let index = index as u64;
            return (Operation::Undo { index, time }, history.len());
        }
    }
    let before = taken_out.snapshots.iter();
    let kept = before.zip(after).take_while(|(a, b)| a == b).count();
    // Flou also accepts a replay of a snapshot that does not exist; it then keeps all.
    let taken_again = taken_out.reason == "replay" && kept < taken_out.snapshots.len();
    let back = Operation::Back {
        kept: kept as u64,
        replay: taken_again || kept == 0,
        time,
    };
    (back, kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What happens to an LTM; numbers are taken modulo the number of snapshots or rollbacks.
    #[derive(Clone, Debug)]
    enum Act {
        Append,
        Back(usize),
        Replay(usize),
        Undo(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => Just(Act::Append),
            1 => any::<usize>().prop_map(Act::Back),
            1 => any::<usize>().prop_map(Act::Replay),
            1 => any::<usize>().prop_map(Act::Undo),
        ];
        prop::collection::vec(act, 0..30)
    }

    type Taken = Vec<(String, Vec<Value>)>;

    /// The history and the snapshots that rollbacks took out of it, as Flou keeps them.
    fn document_of(acts: &[Act]) -> (Vec<Value>, Taken) {
        let mut number = 0;
        let mut next = || {
            number += 1;
            json!({"time": number, "patch": []})
        };
        let mut current = vec![next()];
        let mut rollbacks: Taken = Vec::new();
        for act in acts {
            let (reason, to) = match act {
                Act::Append => {
                    current.push(next());
                    continue;
                }
                Act::Back(n) => ("manual", current[..=n % current.len()].to_vec()),
                Act::Replay(n) => ("replay", current[..n % current.len()].to_vec()),
                Act::Undo(_) if rollbacks.is_empty() => continue,
                Act::Undo(n) => (UNDONE, rollbacks[n % rollbacks.len()].1.clone()),
            };
            let before = std::mem::replace(&mut current, to);
            rollbacks.push((reason.into(), before));
            // A replay takes the snapshot again, so that a history is never empty.
            if reason == "replay" {
                current.push(next());
            }
        }
        (current, rollbacks)
    }

    /// The history and the rollbacks that the operations make.
    fn made_by(operations: &[Operation<'_>]) -> (Vec<Value>, Taken) {
        let mut current = Vec::new();
        let mut rollbacks: Taken = Vec::new();
        for operation in operations {
            let (reason, to) = match *operation {
                Operation::Create(step) | Operation::Append(step) => {
                    current.push(step.clone());
                    continue;
                }
                Operation::Error(_) => continue,
                Operation::Back { kept, replay, .. } => {
                    let reason = if replay { "replay" } else { "manual" };
                    (reason, current[..usize::try_from(kept).unwrap()].to_vec())
                }
                Operation::Undo { index, .. } => {
                    (UNDONE, rollbacks[usize::try_from(index).unwrap()].1.clone())
                }
            };
            let before = std::mem::replace(&mut current, to);
            rollbacks.push((reason.into(), before));
        }
        (current, rollbacks)
    }

    proptest! {
        #[test]
        fn the_operations_make_the_document_again(acts in acts()) {
            let (snapshots, rollbacks) = document_of(&acts);
            let listed: Vec<Value> = rollbacks.iter()
                .map(|(reason, snapshots)| json!({"reason": reason, "snapshots": snapshots}))
                .collect();
            let document: FlouDocument = serde_json::from_value(json!({
                "fqn": "a.B", "state": {}, "snapshots": snapshots, "rollbacks": listed,
            })).unwrap();
            let operations = document.operations();
            let history: Vec<Value> = history_after(&operations).into_iter().cloned().collect();
            prop_assert_eq!(&history, &snapshots);
            prop_assert_eq!(made_by(&operations), (snapshots, rollbacks));
        }
    }

    #[test]
    fn a_replay_that_kept_everything_is_a_rollback_to_the_last_snapshot() {
        let document: FlouDocument = serde_json::from_value(json!({
            "fqn": "a.B", "state": {}, "snapshots": [{"time": 1}],
            "rollbacks": [{"reason": "replay", "snapshots": [{"time": 1}]}],
        }))
        .unwrap();
        let back = Operation::Back {
            kept: 1,
            replay: false,
            time: None,
        };
        assert_eq!(document.operations()[1..], [back]);
    }

    #[test]
    fn a_document_without_snapshots_gives_nothing_to_begin_with() {
        let text = r#"{"fqn":"a.B","state":{"n":1},"snapshots":[]}"#;
        let document: FlouDocument = serde_json::from_str(text).unwrap();
        assert_eq!(document.operations(), []);
    }
}
