//! One run of the bench: what is measured on which targets, and what came out so far.

use std::{io::Write, path::Path};

use crate::{
    error::Error,
    report::{Report, Row},
    scenarios::Scenario,
    target::{Kind, Target},
};

/// A run. What fails takes nothing from what was measured.
pub(crate) struct Session {
    on: Vec<Kind>,
    /// An API and a gateway that run already.
    external: Option<(String, String)>,
    report: Report,
    failures: Vec<String>,
}

impl Session {
    pub(crate) fn new(on: Vec<Kind>, external: Option<(String, String)>) -> Self {
        // Tens of thousands of sockets are open at once.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        Self {
            on,
            external,
            report: Report::default(),
            failures: Vec::new(),
        }
    }

    /// Measures scenarios that belong together, each on a fresh target of each kind, and prints their
    /// tables; gives the rows of each scenario.
    pub(crate) fn measure(&mut self, scenarios: &[Scenario]) -> Result<Vec<Vec<Row>>, Error> {
        let mut together = Report::default();
        let mut apart = Vec::new();
        for scenario in scenarios {
            let kinds = self.on.iter().filter(|kind| scenario.is_for(**kind));
            let outcomes: Vec<_> = kinds
                .map(|kind| (kind, self.row(scenario, *kind)))
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

    fn row(&self, scenario: &Scenario, kind: Kind) -> Result<Row, Error> {
        let mut target = match &self.external {
            Some((api, gateway)) if kind == Kind::Live => {
                Target::external(api.clone(), gateway.clone())?
            }
            _ => scenario.target(kind)?,
        };
        scenario.run(&mut target)
    }

    /// Writes the figures, and gives what went wrong.
    pub(crate) fn end(mut self, json: Option<&Path>) -> Result<Vec<String>, Error> {
        if self.report.rows.is_empty() && self.failures.is_empty() {
            let what = "nothing was measured: the scenario says nothing about these targets";
            self.failures.push(what.into());
        }
        if let Some(path) = json {
            self.report.write(path)?;
        }
        Ok(self.failures)
    }
}
