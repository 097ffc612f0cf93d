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
    numbers(table, output)
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
    numbers(table, output)
}

/// The columns of a service, in the order in which a narrow terminal does without them.
const LOW_VALUE: [&str; 4] = ["lag ms", "memory", "resets", "req/s"];

/// What the services do.
fn services(services: &[Service], output: Output) -> String {
    let all = services_table(services, &[], output);
    if fits(&all) {
        return numbers(all, output);
    }
    let parts = (1..LOW_VALUE.len()).map(|left_out| &LOW_VALUE[..left_out]);
    let mut tables = parts.map(|left_out| services_table(services, left_out, output));
    let least = || services_table(services, &LOW_VALUE, output);
    numbers(tables.find(fits).unwrap_or_else(least), output)
}

/// Whether a table fits the terminal, if there is one.
fn fits(table: &Table) -> bool {
    let widths = table.column_max_content_widths();
    // Each column has a space on both sides.
    let width: u16 = widths.iter().map(|width| width.saturating_add(2)).sum();
    table.width().is_none_or(|columns| width <= columns)
}

/// The table without the columns of `left_out`. If there are such columns, long addresses are short.
fn services_table(services: &[Service], left_out: &[&str], output: Output) -> Table {
    let has = |title: &&str| !left_out.contains(title);
    let titles = SERVICE.into_iter().filter(has);
    let mut table = output.table(&titles.collect::<Vec<_>>());
    for service in services {
        let address = match left_out {
            [] => address(&service.url),
            _ => short_address(&service.url),
        };
        let cells = SERVICE
            .into_iter()
            .zip(service_cells(&address, &service.activity, output));
        table.add_row(cells.filter(|(title, _)| has(title)).map(|(_, cell)| cell));
    }
    table
}

/// The columns of a service.
const SERVICE: [&str; 10] = [
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
];

fn service_cells(address: &str, activity: &Activity, output: Output) -> [Cell; 10] {
    let rate = |rate: Option<f64>| Cell::new(shown(rate, |rate| format!("{rate:.1}")));
    let lag = |lag: Option<f64>| Cell::new(shown(lag, milliseconds));
    let slow = risen(activity.slow_subscribers, activity.new_slow_subscribers);
    [
        Cell::new(printable(address)),
        rate(activity.requests_per_second),
        rate(activity.entries_per_second),
        Cell::new(shown(activity.subscribers, |count| count.to_string())),
        rate(activity.messages_per_second),
        lag(activity.mean_lag),
        lag(activity.p99_lag),
        match activity.new_slow_subscribers.is_some_and(|new| new > 0) {
            true => output.accent_cell(Accent::Alert, &slow),
            false => Cell::new(slow),
        },
        Cell::new(risen(activity.resets, activity.new_resets)),
        Cell::new(shown(activity.memory_bytes, |bytes| {
            HumanBytes(bytes).to_string()
        })),
    ]
}

/// The longest address that a narrow terminal shows whole: an IPv4 address with a port fits.
const LONG_ADDRESS: usize = 21;

/// The address in a URL: its host and port, and a path if there is one.
fn address(url: &str) -> String {
    url.split("://").last().unwrap_or(url).into()
}

/// The same; of a long one only the first word of the host, and the port.
fn short_address(url: &str) -> String {
    let address = address(url);
    if address.len() <= LONG_ADDRESS {
        return address;
    }
    let host = address.split('/').next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let name = name.split('.').next().unwrap_or_default();
    match port {
        "" => name.into(),
        port => format!("{name}:{port}"),
    }
}

/// A table whose first column are names, and the others numbers.
fn numbers(mut table: Table, output: Output) -> String {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    output.rows(table, &[0])
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
    fn a_narrow_terminal_gets_the_columns_that_matter_most() {
        let service = Service {
            url: "http://127.0.0.1:8000".into(),
            activity: Activity::default(),
            error: None,
        };
        let services = [service];
        let mut table = services_table(&services, &[], Output::plain());
        assert!(fits(&table), "there is no terminal");
        table.set_width(80);
        assert!(!fits(&table));
        let mut table = services_table(&services, &LOW_VALUE, Output::plain());
        table.set_width(80);
        assert!(fits(&table));
        for (url, short) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
            ("http://ltm-api-0.ltm-api.live.svc:8000/x", "ltm-api-0:8000"),
            ("https://a-long-name.of.a.service.example", "a-long-name"),
        ] {
            assert_eq!(short_address(url), short);
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
