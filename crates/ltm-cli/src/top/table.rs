//! What `ltm top` shows, as text.

use std::cmp::Reverse;

use comfy_table::{Cell, CellAlignment, Table};
use indicatif::HumanBytes;

use super::look::{Activity, Counts, Look, Service};
use crate::{
    terminal::{Accent, Output},
    text::{printable, to_the_second},
};

/// The statuses that always have a column.
const STATUSES: [&str; 5] = ["init", "queued", "active", "finished", "error"];
/// The most columns of other words.
const MAX_OTHERS: usize = 3;
/// The most classes.
const MAX_CLASSES: usize = 10;
/// What stands for a value that is not known.
const UNKNOWN: &str = "–";
/// What to say of counts that lack LTMs.
const INCOMPLETE: &str =
    "the counts lack LTMs: the API still counts, or there are too many statuses and classes";

/// The tables of a look, one below the other.
pub(super) fn text(look: &Look, output: Output) -> String {
    let title = output.accent(Accent::Kind, "ltm top");
    let mut parts = vec![format!("{title}  {}", to_the_second(&look.time))];
    parts.push(statuses(look, output));
    if look.incomplete {
        parts.push(INCOMPLETE.into());
    }
    parts.push(services(&look.services, output));
    let silent = look.services.iter().filter_map(|service| {
        let error = service.error.as_ref()?;
        Some(printable(&format!("{}: {error}", service.url)))
    });
    let mut notes: Vec<String> = silent.collect();
    if !notes.is_empty() {
        notes.push("name each API and gateway with --metrics".into());
        parts.push(notes.join("\n"));
    }
    if !look.ltms.fqn.is_empty() {
        parts.push(classes(&look.ltms, output));
    }
    parts.join("\n\n")
}

/// LTMs by status.
fn statuses(look: &Look, output: Output) -> String {
    let mut others: Vec<(&str, u64)> = Vec::new();
    for (status, count) in look.ltms.status.iter().chain(&look.playground.status) {
        match others.iter_mut().find(|(other, _)| other == status) {
            _ if STATUSES.contains(&status.as_str()) => {}
            Some((_, sum)) => *sum += count,
            None => others.push((status, *count)),
        }
    }
    others.sort_by_key(|(status, count)| (Reverse(*count), *status));
    let others = others.iter().take(MAX_OTHERS).map(|(status, _)| *status);
    let columns: Vec<&str> = STATUSES.into_iter().chain(others).collect();
    let shown: Vec<String> = columns.iter().map(|status| printable(status)).collect();
    let header = [""].into_iter().chain(shown.iter().map(String::as_str));
    let header: Vec<&str> = header.chain(["other", "all"]).collect();
    let mut table = output.table(&header);
    for (name, counts) in [("LTMs", &look.ltms), ("playground", &look.playground)] {
        let count = |status: &&str| counts.status.get(*status).copied().unwrap_or_default();
        let known: Vec<u64> = columns.iter().map(count).collect();
        let rest = counts.total.saturating_sub(known.iter().sum());
        let mut row = vec![Cell::new(name)];
        row.extend(columns.iter().zip(&known).map(|(status, count)| {
            match *status == "error" && *count > 0 {
                true => output.accent_cell(Accent::Alert, &count.to_string()),
                false => Cell::new(count),
            }
        }));
        row.extend([Cell::new(rest), Cell::new(counts.total)]);
        table.add_row(row);
    }
    numbers(table)
}

/// The classes with the most LTMs.
fn classes(counts: &Counts, output: Output) -> String {
    let mut classes: Vec<(&String, &u64)> = counts.fqn.iter().collect();
    classes.sort_by_key(|(class, count)| (Reverse(**count), *class));
    let mut table = output.table(&["class", "LTMs"]);
    for (class, count) in classes.iter().take(MAX_CLASSES) {
        table.add_row([printable(class), count.to_string()]);
    }
    if let Some(more) = classes.get(MAX_CLASSES..).filter(|more| !more.is_empty()) {
        let sum: u64 = more.iter().map(|(_, count)| **count).sum();
        table.add_row([format!("… {} more", more.len()), sum.to_string()]);
    }
    numbers(table)
}

/// What the services do.
fn services(services: &[Service], output: Output) -> String {
    let mut table = output.table(&[
        "service",
        "req/s",
        "entries/s",
        "subscribers",
        "sent/s",
        "lag ms",
        "p99 ms",
        "slow",
        "resets",
        "memory",
    ]);
    for Service { url, activity, .. } in services {
        let Activity {
            requests_per_second,
            entries_per_second,
            subscribers,
            messages_per_second,
            mean_lag,
            p99_lag,
            slow_subscribers,
            new_slow_subscribers,
            resets,
            new_resets,
            memory_bytes,
        } = activity;
        let rate = |rate: &Option<f64>| Cell::new(shown(*rate, |rate| format!("{rate:.1}")));
        let lag = |lag: &Option<f64>| Cell::new(shown(*lag, milliseconds));
        let slow = risen(*slow_subscribers, *new_slow_subscribers);
        table.add_row([
            Cell::new(printable(url.split("://").last().unwrap_or(url))),
            rate(requests_per_second),
            rate(entries_per_second),
            Cell::new(shown(*subscribers, |count| count.to_string())),
            rate(messages_per_second),
            lag(mean_lag),
            lag(p99_lag),
            match new_slow_subscribers.is_some_and(|new| new > 0) {
                true => output.accent_cell(Accent::Alert, &slow),
                false => Cell::new(slow),
            },
            Cell::new(risen(*resets, *new_resets)),
            Cell::new(shown(*memory_bytes, |bytes| HumanBytes(bytes).to_string())),
        ]);
    }
    numbers(table)
}

/// A table whose first column are names, and the others numbers.
fn numbers(mut table: Table) -> String {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn shown<T>(value: Option<T>, form: impl Fn(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.into(), form)
}

/// A count, and in brackets by how much it has risen.
fn risen(value: Option<u64>, new: Option<u64>) -> String {
    let new = new.filter(|new| *new > 0);
    let new = new.map_or_else(String::new, |new| format!(" (+{new})"));
    shown(value, |value| format!("{value}{new}"))
}

fn milliseconds(seconds: f64) -> String {
    match seconds.is_infinite() {
        true => "long".into(),
        false => format!("{:.1}", seconds * 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(total: u64, statuses: &[(&str, u64)], classes: usize) -> Counts {
        Counts {
            total,
            status: statuses.iter().map(|(s, n)| ((*s).into(), *n)).collect(),
            fqn: (0..classes).map(|n| (format!("app.{n:02}"), 1)).collect(),
        }
    }

    #[test]
    fn a_look_is_three_tables_and_says_which_service_is_silent() {
        let activity = Activity {
            subscribers: Some(12),
            messages_per_second: Some(34.56),
            mean_lag: Some(0.0012),
            p99_lag: Some(2.5),
            slow_subscribers: Some(3),
            new_slow_subscribers: Some(1),
            resets: Some(0),
            new_resets: Some(0),
            ..Activity::default()
        };
        let service = |url: &str, activity, error: Option<&str>| Service {
            url: url.into(),
            activity,
            error: error.map(Into::into),
        };
        let look = Look {
            time: "2026-01-31T12:00:00.5Z".into(),
            ltms: counts(9, &[("active", 2), ("error", 1), ("waiting\u{9b}", 3)], 12),
            playground: counts(1, &[("waiting\u{9b}", 1)], 1),
            incomplete: true,
            services: vec![
                service("http://a:1", activity, None),
                service("http://b:1", Activity::default(), Some("no\u{1b} answer")),
            ],
        };
        let text = text(&look, Output::plain());
        let rows: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for row in [
            "ltm top 2026-01-31T12:00:00Z",
            "init queued active finished error waiting\\u{9b} other all",
            "LTMs 0 0 2 0 1 3 3 9",
            "playground 0 0 0 0 0 1 0 1",
            INCOMPLETE,
            "app.09 1",
            "… 2 more 2",
            "a:1 – – 12 34.6 1.2 2500.0 3 (+1) 0 –",
            "b:1 – – – – – – – – –",
            "http://b:1: no\\u{1b} answer",
        ] {
            assert!(rows.iter().any(|it| it == row), "{row}:\n{text}");
        }
        assert!(!text.contains("app.10"), "{text}");
    }
}
