//! The CPU time and memory of a target's processes.

use std::time::{Duration, Instant};

use super::{Target, process::Process};

/// CPU time since a beginning.
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

    /// The seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The CPU time of each process since then, in microseconds.
    pub(crate) fn cpu(&self, target: &Target) -> Vec<(&'static str, f64)> {
        let used = target.processes.iter().zip(&self.before);
        used.map(|(process, before)| {
            let used = process.cpu().saturating_sub(*before);
            (process.name(), used.as_secs_f64() * 1e6)
        })
        .collect()
    }

    /// The CPU time of the processes with these names since then, in microseconds; not a number if they run
    /// elsewhere.
    pub(crate) fn of(&self, target: &Target, names: &[&str]) -> f64 {
        if target.processes.is_empty() {
            return f64::NAN;
        }
        let used = self.cpu(target).into_iter();
        let used = used.filter(|(name, _)| names.contains(name));
        used.map(|(_, used)| used).sum()
    }
}

/// The peak of a process's memory since a beginning.
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

    /// The difference between the peak and the memory at the beginning, in bytes; not a number if the process runs
    /// elsewhere.
    pub(crate) fn grown(&self) -> f64 {
        self.process
            .map_or(f64::NAN, |process| process.peak() as f64 - self.held)
    }
}

/// The growth divided by `count`, in KiB; 0 if the memory shrank.
pub(crate) fn kib_each(from: f64, to: f64, count: usize) -> f64 {
    let grown = to - from;
    let grown = if grown < 0.0 { 0.0 } else { grown };
    grown / 1024.0 / count as f64
}
