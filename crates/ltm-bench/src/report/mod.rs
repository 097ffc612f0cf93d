//! The figures: tables for people, JSON for programs.

pub(crate) mod plot;
pub(crate) mod progress;
mod row;
pub(crate) mod sizes;

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::{error::Error, targets::Kind};
pub(crate) use row::{CPU, MEMORY, Row};

/// The figure of a scenario that is compared with the floor and the peers.
const COMPARED: [(&str, &str); 5] = [
    ("fan-out", CPU),
    ("idle", MEMORY),
    ("burst", MEMORY),
    ("latency", "p99 ms"),
    ("append", "appends/s"),
];
/// The names of the ratios to the other targets.
const RATIOS: [(Kind, &str); 3] = [
    (Kind::Floor, "× floor"),
    (Kind::Nchan, "× Nchan"),
    (Kind::Centrifugo, "× Centrifugo"),
];
/// All figures of one run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Compares the main figures with those of the floor and the peers under the same load.
    pub(crate) fn compare(&mut self) {
        let measured = self.rows.clone();
        for row in &mut self.rows {
            let compared = COMPARED.iter().find(|(of, _)| *of == row.scenario);
            let Some((_, name)) = compared else { continue };
            let Some(own) = row.figures.get(name).copied() else {
                continue;
            };
            for (other, ratio) in RATIOS {
                let beside = measured.iter().find(|beside| {
                    (beside.scenario, &beside.load) == (row.scenario, &row.load)
                        && beside.target == other.name()
                });
                let figure = beside.and_then(|beside| beside.figures.get(name));
                if let Some(figure) = figure
                    && row.target != other.name()
                {
                    row.figures.insert(ratio, own / figure);
                }
            }
        }
        sizes::compare(&mut self.rows);
    }

    /// One table for each scenario.
    pub(crate) fn tables(&self) -> String {
        let mut scenarios: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !scenarios.contains(&row.scenario) {
                scenarios.push(row.scenario);
            }
        }
        let tables = scenarios.into_iter().map(|scenario| {
            let rows = self.rows.iter().filter(|row| row.scenario == scenario);
            let rows: Vec<_> = rows.collect();
            let ratio = |row: &&Row| row.figures.keys().any(|name| name.starts_with('×'));
            let compared = COMPARED.iter().find(|(of, _)| *of == scenario);
            let compared = match compared {
                Some((_, figure)) if rows.iter().any(ratio) => format!(" (× compares {figure})"),
                None if rows.iter().any(ratio) => {
                    format!(" (× compares with {} subscribers)", sizes::BASE)
                }
                _ => String::new(),
            };
            format!("{scenario}{compared}\n\n{}\n", table(&rows))
        });
        tables.collect::<Vec<_>>().join("\n")
    }

    /// Writes all as JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        Ok(std::fs::write(path, text)?)
    }
}

fn table(rows: &[&Row]) -> Table {
    let mut names: Vec<&str> = rows
        .iter()
        .flat_map(|row| row.figures.keys().copied())
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", "load"].into_iter().chain(names.iter().copied()));
    for row in rows {
        let figure = |name: &&str| {
            row.figures
                .get(name)
                .map_or(String::new(), |value| shown(*value))
        };
        let cells = [row.target.to_owned(), row.load.clone()];
        table.add_row(cells.into_iter().chain(names.iter().map(figure)));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A figure with three digits, or with all its integer digits.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_those_of_the_same_load_only() {
        let row = |kind, load: &str, value| Row::new("fan-out", kind, load).with(CPU, value);
        let mut report = Report::default();
        report.rows.push(row(Kind::Live, "small", 3.0));
        report.rows.push(row(Kind::Floor, "small", 2.0));
        report.rows.push(row(Kind::Nchan, "large", 1.0));
        report.compare();
        let figures = &report.rows[0].figures;
        assert_eq!(figures.get("× floor"), Some(&1.5));
        assert_eq!(figures.get("× Nchan"), None);
        assert_eq!(report.rows[1].figures.get("× floor"), None);
    }
}
