//! The counters that the threads of all subscribers share.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Instant,
};

use hdrhistogram::Histogram;

use crate::error::Error;

/// The counters.
pub(super) struct Tally {
    /// The subscribers that are connected now.
    pub(super) connected: AtomicU64,
    /// How often subscribers connected again.
    pub(super) reconnected: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) doubled: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) stop: AtomicBool,
    pub(super) failure: Mutex<Option<Error>>,
    pub(super) latencies: Mutex<Histogram<u64>>,
    /// The times in the messages count from here.
    pub(super) began: Instant,
}

impl Tally {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            connected: AtomicU64::new(0),
            reconnected: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            doubled: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
            latencies: Mutex::new(histogram()),
            began,
        }
    }
}

/// A histogram from 1 µs to 60 s with three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    let Ok(histogram) = Histogram::new_with_bounds(1_000, 60_000_000_000, 3) else {
        unreachable!("hdrhistogram takes these constants");
    };
    histogram
}
