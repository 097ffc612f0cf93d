use ltm_types::Kind;
use proptest::prelude::*;

use super::*;

/// What happens to a log. Numbers are taken modulo the number of candidates.
#[derive(Clone, Debug)]
enum Act {
    Append(char),
    /// A failover loses the last entries.
    Lose(usize),
    Trim(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => prop::char::range('a', 'c').prop_map(Act::Append),
        2 => (1..4usize).prop_map(Act::Lose),
        1 => any::<usize>().prop_map(Act::Trim),
    ];
    prop::collection::vec(act, 1..30)
}

/// A reference model: it compares whole histories, and the code compares hashes.
#[derive(Default)]
struct Model {
    /// The current history, including the entries that were trimmed.
    history: Vec<Entry>,
    trimmed: usize,
    /// Every history that the log ever had.
    seen: Vec<Vec<Entry>>,
}

impl Model {
    fn run(acts: &[Act]) -> Self {
        let mut model = Self {
            seen: vec![Vec::new()],
            ..Self::default()
        };
        for act in acts {
            match *act {
                Act::Append(payload) => {
                    let payload = payload.to_string().into();
                    let entry = Entry::after(cursor_of(&model.history), Kind::Snapshot, payload);
                    model.history.push(entry);
                    model.seen.push(model.history.clone());
                }
                Act::Lose(count) => {
                    let len = model.history.len().saturating_sub(count);
                    model.history.truncate(len.max(model.trimmed));
                }
                Act::Trim(count) if !model.history.is_empty() => {
                    model.trimmed = model.trimmed.max(count % (model.history.len() + 1));
                }
                Act::Trim(_) => {}
            }
        }
        model
    }

    /// What the log is to a subscriber with the history `own`.
    fn judge(&self, own: &[Entry]) -> Continuation {
        if own.len() < self.trimmed {
            Continuation::Trimmed
        } else if self.history.starts_with(own) {
            Continuation::Continues
        } else {
            Continuation::Forked
        }
    }
}

/// What the last entry of the history `theirs` is to a subscriber with the history `own`.
fn model_join(own: &[Entry], theirs: &[Entry]) -> Join {
    if theirs == own {
        Join::Duplicate
    } else if theirs.len() == own.len() + 1 && theirs.starts_with(own) {
        Join::Deliver
    } else if theirs.len() == own.len() || theirs.len() == own.len() + 1 {
        Join::Forked
    } else {
        Join::Gap
    }
}

fn cursor_of(history: &[Entry]) -> Cursor {
    history.last().map_or(Cursor::ORIGIN, |last| last.cursor)
}

proptest! {
    #[test]
    fn a_log_is_judged_as_if_whole_histories_were_compared(acts in acts()) {
        let model = Model::run(&acts);
        for own in &model.seen {
            let after = cursor_of(own);
            let kept = &model.history[model.trimmed..];
            let first = kept.iter().find(|entry| entry.cursor > after);
            prop_assert_eq!(judge(after, cursor_of(&model.history), first), model.judge(own));
        }
    }

    #[test]
    fn an_entry_is_joined_as_if_whole_histories_were_compared(acts in acts()) {
        let model = Model::run(&acts);
        for own in &model.seen {
            for theirs in &model.seen {
                if let Some(entry) = theirs.last() {
                    prop_assert_eq!(join(cursor_of(own), entry), model_join(own, theirs));
                }
            }
        }
    }

    /// Entries arrive twice, out of order, or not at all. The subscriber reads every gap from the log.
    #[test]
    fn a_subscriber_gets_the_log_in_whatever_order_live_entries_arrive(
        payloads in prop::collection::vec(prop::char::range('a', 'c'), 1..20),
        arrivals in prop::collection::vec(0usize..20, 0..60),
    ) {
        let acts: Vec<Act> = payloads.into_iter().map(Act::Append).collect();
        let log = Model::run(&acts).history;
        let mut received: Vec<Entry> = Vec::new();
        for arrival in arrivals.into_iter().filter(|&arrival| arrival < log.len()) {
            match join(cursor_of(&received), &log[arrival]) {
                Join::Deliver => received.push(log[arrival].clone()),
                Join::Duplicate => {}
                Join::Forked | Join::Gap => {
                    for entry in log.iter().take(arrival + 1).skip(received.len()) {
                        prop_assert_eq!(join(cursor_of(&received), entry), Join::Deliver);
                        received.push(entry.clone());
                    }
                }
            }
        }
        prop_assert_eq!(&received[..], &log[..received.len()]);
    }
}
