//! One run of the benchmark: its targets and the results so far.

use std::{io::Write, path::Path};

use crate::{
    error::Error,
    report::{Report, Row},
    scenarios::Scenario,
    targets::Kind,
};

/// A run. A failure keeps the results of the other measurements.
pub(crate) struct Session {
    on: Vec<Kind>,
    /// A running API and its gateway.
    external: Option<(String, String)>,
    report: Report,
    failures: Vec<String>,
}

impl Session {
    pub(crate) fn new(on: Vec<Kind>, external: Option<(String, String)>) -> Self {
        // A run has tens of thousands of open sockets.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        Self {
            on,
            external,
            report: Report::default(),
            failures: Vec::new(),
        }
    }

    /// Measures scenarios that belong together, each on a new target of each kind. Prints their tables and
    /// returns the rows of each scenario.
    pub(crate) fn measure(&mut self, scenarios: &[Scenario]) -> Result<Vec<Vec<Row>>, Error> {
        let mut together = Report::default();
        let mut apart = Vec::new();
        for scenario in scenarios {
            let kinds = self.on.iter().filter(|kind| scenario.is_for(**kind));
            let parts = scenario.parts();
            let outcomes: Vec<_> = kinds
                .flat_map(|kind| parts.iter().map(move |part| (kind, part)))
                .map(|(kind, part)| (kind, part.measure(*kind, self.external.as_ref())))
                .collect();
            let mut rows = Vec::new();
            let mut failures = Vec::new();
            for (kind, outcome) in outcomes {
                match outcome {
                    Ok(row) => rows.push(row),
                    Err(error) => {
                        let (name, kind) = (scenario.name(), kind.name());
                        failures.push(format!("{name}, {kind}: {error}"));
                    }
                }
            }
            self.failures.extend(failures);
            together.rows.extend(rows.iter().cloned());
            apart.push(rows);
        }
        together.compare();
        if !together.rows.is_empty() {
            writeln!(std::io::stdout(), "{}", together.tables())?;
        }
        self.report.rows.extend(together.rows);
        Ok(apart)
    }

    /// Writes the figures, and returns the failures.
    pub(crate) fn end(mut self, json: Option<&Path>) -> Result<Vec<String>, Error> {
        if self.report.rows.is_empty() && self.failures.is_empty() {
            let what = "nothing was measured: the scenario does not apply to these targets";
            self.failures.push(what.into());
        }
        if let Some(path) = json {
            self.report.write(path)?;
        }
        Ok(self.failures)
    }
}
