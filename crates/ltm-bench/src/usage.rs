//! What the processes of a target used between two moments.

use std::time::{Duration, Instant};

use crate::target::Target;

/// The beginning of a measurement.
pub(crate) struct Usage {
    began: Instant,
    before: Vec<Duration>,
}

impl Usage {
    pub(crate) fn begin(target: &Target) -> Self {
        Self {
            before: target
                .processes
                .iter()
                .map(|process| process.cpu())
                .collect(),
            began: Instant::now(),
        }
    }

    /// How long it goes on, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The processor time of each process since, in microseconds.
    pub(crate) fn cpu(&self, target: &Target) -> Vec<(&'static str, f64)> {
        let used = target.processes.iter().zip(&self.before);
        used.map(|(process, before)| {
            let used = process.cpu().saturating_sub(*before);
            (process.name(), used.as_secs_f64() * 1e6)
        })
        .collect()
    }

    /// The processor time of the processes with these names since, in microseconds.
    pub(crate) fn of(&self, target: &Target, names: &[&str]) -> f64 {
        let used = self.cpu(target).into_iter();
        let used = used.filter(|(name, _)| names.contains(name));
        used.map(|(_, used)| used).sum()
    }
}
