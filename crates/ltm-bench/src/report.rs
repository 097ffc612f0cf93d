//! The figures: a table for people, JSON for programs.

use std::{collections::BTreeMap, path::Path};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::error::Error;

/// One row: what was measured on which target under which load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) target: String,
    /// The load.
    pub(crate) load: String,
    /// The figures, by name with unit.
    pub(crate) figures: BTreeMap<&'static str, f64>,
}

impl Row {
    pub(crate) fn new(
        scenario: &'static str,
        target: impl Into<String>,
        load: impl Into<String>,
    ) -> Self {
        Self {
            scenario,
            target: target.into(),
            load: load.into(),
            figures: BTreeMap::new(),
        }
    }

    /// The row with one more figure.
    pub(crate) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.figures.insert(name, value);
        self
    }
}

/// All figures of one run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// One table for each scenario.
    pub(crate) fn tables(&self) -> String {
        let mut scenarios: Vec<&str> = self.rows.iter().map(|row| row.scenario).collect();
        scenarios.dedup();
        let tables = scenarios.into_iter().map(|scenario| {
            let rows: Vec<&Row> = self
                .rows
                .iter()
                .filter(|row| row.scenario == scenario)
                .collect();
            format!("{scenario}\n\n{}\n", table(&rows))
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
        let cells = [row.target.clone(), row.load.clone()];
        table.add_row(cells.into_iter().chain(names.iter().map(figure)));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
