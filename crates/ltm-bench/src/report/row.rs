//! One row of a table.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::targets::Kind;

/// The CPU time of all processes together, per counted item.
pub(crate) const CPU: &str = "CPU µs each";
/// The memory per connection of the process that holds them.
pub(crate) const MEMORY: &str = "KiB each";

/// One row: the figures of one scenario on one target under one load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) target: &'static str,
    /// The load.
    pub(crate) load: String,
    /// The figures, by name with unit.
    pub(crate) figures: BTreeMap<&'static str, f64>,
}

impl Row {
    pub(crate) fn new(scenario: &'static str, kind: Kind, load: impl Into<String>) -> Self {
        Self {
            scenario,
            target: kind.name(),
            load: load.into(),
            figures: BTreeMap::new(),
        }
    }

    /// Adds a figure if it is a number: a target that runs elsewhere has no CPU time.
    pub(crate) fn with(mut self, name: &'static str, value: f64) -> Self {
        if value.is_finite() {
            self.figures.insert(name, value);
        }
        self
    }

    /// Adds the number of repeated messages, if the target may repeat them.
    pub(crate) fn doubled(self, kind: Kind, count: u64) -> Self {
        match kind {
            Kind::Nchan => self.with("doubled", count as f64),
            Kind::Live | Kind::Floor | Kind::Centrifugo => self,
        }
    }

    /// Adds the CPU time of all processes, and of each, divided by `count`.
    pub(crate) fn costs(self, cpu: &[(&'static str, f64)], count: f64) -> Self {
        if cpu.is_empty() {
            return self;
        }
        let all: f64 = cpu.iter().map(|(_, used)| used).sum();
        let each = |row: Self, (name, used): &(&'static str, f64)| row.with(name, used / count);
        cpu.iter().fold(self.with(CPU, all / count), each)
    }
}
