//! What the processes of a target use.

use std::time::{Duration, Instant};

use super::{Target, process::Process};

/// Processor time from one moment on.
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

    /// The processor time of the processes with these names since, in microseconds; not a number
    /// where they run elsewhere.
    pub(crate) fn of(&self, target: &Target, names: &[&str]) -> f64 {
        if target.processes.is_empty() {
            return f64::NAN;
        }
        let used = self.cpu(target).into_iter();
        let used = used.filter(|(name, _)| names.contains(name));
        used.map(|(_, used)| used).sum()
    }
}

/// The most memory that a process holds at once, from one moment on.
pub(crate) struct Peak<'a> {
    process: Option<&'a Process>,
    held: f64,
}

impl<'a> Peak<'a> {
    pub(crate) fn begin(process: Option<&'a Process>) -> Self {
        Self {
            process,
            held: process.map_or(f64::NAN, |process| process.begin_peak() as f64),
        }
    }

    /// By how much that is more than what it held then, in bytes; not a number where it runs elsewhere.
    pub(crate) fn grown(&self) -> f64 {
        self.process
            .map_or(f64::NAN, |process| process.peak() as f64 - self.held)
    }
}

/// What is more for each of so many, in KiB: none where it is less.
pub(crate) fn kib_each(from: f64, to: f64, count: usize) -> f64 {
    let grown = to - from;
    let grown = if grown < 0.0 { 0.0 } else { grown };
    grown / 1024.0 / count as f64
}
