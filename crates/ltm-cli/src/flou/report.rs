//! What a bridge has written, and what it could not.

use serde_json::json;

use crate::{
    error::Error,
    terminal::Output,
    text::{count_of, printable},
};

/// The most reasons that are kept; further failures are only counted.
const MAX_REASONS: usize = 100;

/// Counts of what was written, and why the rest was not.
#[derive(Default)]
pub(super) struct Report {
    pub(super) ltms: u64,
    pub(super) snapshots: u64,
    pub(super) rollbacks: u64,
    pub(super) errors: u64,
    pub(super) not_placed: u64,
    reasons: Vec<String>,
}

impl Report {
    /// Notes that something was not written, and why.
    pub(super) fn lost(&mut self, reason: String) {
        self.not_placed += 1;
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(reason);
        }
    }

    /// Prints the counts and the reasons.
    pub(super) fn print(&self, output: Output) -> Result<(), Error> {
        let Self {
            ltms,
            snapshots,
            rollbacks,
            errors,
            not_placed,
            reasons,
        } = self;
        if output.json() {
            let line = json!({"ltms": ltms, "snapshots": snapshots, "rollbacks": rollbacks, "errors": errors,
                "not_placed": not_placed, "reasons": reasons});
            return output.json_line(&line.to_string());
        }
        output.line(&format!(
            "wrote {}, {}, {}, {}; {not_placed} not written",
            count_of(ltms, "LTM"),
            count_of(snapshots, "snapshot"),
            count_of(rollbacks, "rollback"),
            count_of(errors, "error")
        ))?;
        for reason in reasons {
            output.line(&format!("  not written: {}", printable(reason)))?;
        }
        Ok(())
    }
}
