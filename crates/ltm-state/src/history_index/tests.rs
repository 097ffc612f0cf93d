use proptest::prelude::*;

use super::*;

/// An action on an LTM. Numbers are taken modulo the number of candidates.
#[derive(Clone, Debug)]
enum Act {
    Snapshot,
    Rollback(u64),
    Restart,
    Undo(usize),
    Error(u8),
    Other,
    Trim(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => Just(Act::Snapshot),
        2 => any::<u64>().prop_map(Act::Rollback),
        1 => Just(Act::Restart),
        2 => any::<usize>().prop_map(Act::Undo),
        1 => (0u8..3).prop_map(Act::Error),
        1 => Just(Act::Other),
        1 => any::<u64>().prop_map(Act::Trim),
    ];
    prop::collection::vec(act, 1..60)
}

/// A reference model made of plain lists. It represents a snapshot by the `seq` of its entry.
#[derive(Default)]
struct Model {
    current: Vec<u64>,
    /// The history before each rollback, and the `seq` of the rollback.
    rollbacks: Vec<(Vec<u64>, u64)>,
    errors: Vec<(u8, u64)>,
    /// The history after each entry; the first item is the history before the first entry.
    after: Vec<Vec<u64>>,
    trimmed: u64,
}

impl Model {
    fn head(&self) -> u64 {
        self.after.len() as u64 - 1
    }

    fn back(&mut self, to: Vec<u64>, undone: Option<u64>, history_index: &mut HistoryIndex) {
        history_index.push_rollback(to.len() as u64, undone);
        let seq = self.head() + 1;
        let before = std::mem::replace(&mut self.current, to);
        self.rollbacks.push((before, seq));
    }

    fn go(&mut self, act: &Act, history_index: &mut HistoryIndex) {
        let next = self.head() + 1;
        match *act {
            Act::Snapshot => {
                history_index.push_snapshot();
                self.current.push(next);
            }
            Act::Rollback(n) if !self.current.is_empty() => {
                let keep = usize::try_from(n % self.current.len() as u64).unwrap() + 1;
                self.back(self.current[..keep].to_vec(), None, history_index);
            }
            Act::Restart => self.back(Vec::new(), None, history_index),
            Act::Undo(n) if !self.rollbacks.is_empty() => {
                let index = n % self.rollbacks.len();
                let (to, seq) = self.rollbacks[index].clone();
                if seq <= self.trimmed {
                    return;
                }
                self.back(to, Some(index as u64), history_index);
            }
            Act::Error(n) => {
                history_index.push_error(Uuid::from_u128(n.into()));
                match self.errors.iter_mut().find(|(id, _)| *id == n) {
                    Some((_, seq)) => *seq = next,
                    None => self.errors.push((n, next)),
                }
            }
            Act::Trim(n) => {
                self.trimmed = self.trimmed.max(n % (self.head() + 1));
                history_index.trim(self.trimmed);
                return;
            }
            _ => history_index.push_other(),
        }
        self.after.push(self.current.clone());
    }

    /// Checks that `branch` is `history` as far as it was not trimmed.
    fn check(&self, branch: &Branch, history: &[u64]) -> Result<(), TestCaseError> {
        prop_assert_eq!(branch.count(), history.len() as u64);
        let kept: Vec<u64> = history
            .iter()
            .copied()
            .filter(|seq| *seq > self.trimmed)
            .collect();
        let listed: Vec<u64> = branch
            .ranges
            .iter()
            .flat_map(|range| range.seq..range.seq + range.len)
            .collect();
        prop_assert_eq!(&listed, &kept);
        let gone = history.len() - kept.len();
        prop_assert_eq!(branch.trimmed, gone as u64);
        if gone > 0 {
            prop_assert!(branch.base >= self.trimmed);
            prop_assert_eq!(
                &self.after[usize::try_from(branch.base).unwrap()],
                &history[..gone]
            );
        }
        for (index, seq) in history.iter().enumerate() {
            let expected = if index >= gone {
                Some(*seq)
            } else {
                (index + 1 == gone).then_some(branch.base)
            };
            prop_assert_eq!(branch.seq_of(index as u64), expected);
        }
        prop_assert_eq!(branch.seq_of(history.len() as u64), None);
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_history_index_gives_the_history_and_the_one_before_every_rollback(acts in acts()) {
        let mut history_index = HistoryIndex::default();
        let mut model = Model { after: vec![Vec::new()], ..Model::default() };
        for act in &acts {
            model.go(act, &mut history_index);
            prop_assert_eq!(history_index.head(), model.head());
            prop_assert_eq!(history_index.count(), model.current.len() as u64);
        }
        model.check(&history_index.branch(), &model.current)?;
        prop_assert_eq!(history_index.rollbacks_count(), model.rollbacks.len() as u64);
        for (index, (history, seq)) in model.rollbacks.iter().enumerate() {
            match history_index.branch_before(index as u64) {
                Some(branch) => model.check(&branch, history)?,
                None => prop_assert!(*seq <= model.trimmed),
            }
        }
        prop_assert_eq!(history_index.branch_before(model.rollbacks.len() as u64), None);
        let kept: Vec<(u64, u64)> = model.rollbacks.iter().enumerate()
            .map(|(index, (_, seq))| (index as u64, *seq))
            .filter(|(_, seq)| *seq > model.trimmed)
            .collect();
        prop_assert_eq!(history_index.rollbacks().collect::<Vec<_>>(), kept);
        let mut errors: Vec<(Uuid, u64)> = history_index.errors();
        let mut expected: Vec<(Uuid, u64)> = model.errors.iter()
            .filter(|(_, seq)| *seq > model.trimmed)
            .map(|(id, seq)| (Uuid::from_u128((*id).into()), *seq))
            .collect();
        errors.sort();
        expected.sort();
        prop_assert_eq!(errors, expected);
    }

    #[test]
    fn a_stored_history_index_can_be_read(acts in acts()) {
        let mut history_index = HistoryIndex::default();
        let mut model = Model { after: vec![Vec::new()], ..Model::default() };
        for act in &acts {
            model.go(act, &mut history_index);
        }
        let text = serde_json::to_string(&history_index).unwrap();
        prop_assert_eq!(serde_json::from_str::<HistoryIndex>(&text).unwrap(), history_index);
    }
}
