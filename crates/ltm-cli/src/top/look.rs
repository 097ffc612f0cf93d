//! What `ltm top` finds out at one time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scrape::Scrape;

/// What the services do.
#[derive(Serialize)]
pub(super) struct Look {
    pub(super) time: String,
    /// The LTMs outside of the playground.
    pub(super) ltms: Counts,
    pub(super) playground: Counts,
    /// Whether the counts lack LTMs.
    pub(super) incomplete: bool,
    pub(super) services: Vec<Service>,
}

/// The number of LTMs, by status and class.
#[derive(Deserialize, Serialize)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) status: BTreeMap<String, u64>,
    pub(super) fqn: BTreeMap<String, u64>,
}

#[derive(Serialize)]
pub(super) struct Service {
    pub(super) url: String,
    #[serde(flatten)]
    pub(super) activity: Activity,
    /// Why the service says nothing about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// What a service does. It knows only what is its own work: an API has no subscribers.
#[derive(Default, Serialize)]
pub(super) struct Activity {
    pub(super) requests_per_second: Option<f64>,
    pub(super) entries_per_second: Option<f64>,
    pub(super) subscribers: Option<u64>,
    pub(super) messages_per_second: Option<f64>,
    /// In seconds.
    pub(super) mean_lag: Option<f64>,
    /// In seconds; 99 % of the deliveries were not later.
    pub(super) p99_lag: Option<f64>,
    pub(super) slow_subscribers: Option<u64>,
    pub(super) new_slow_subscribers: Option<u64>,
    pub(super) resets: Option<u64>,
    pub(super) new_resets: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
}

impl Activity {
    /// What a service did between two scrapes, and has at the later one.
    pub(super) fn between(before: Option<&Scrape>, now: &Scrape) -> Self {
        let rate = |name: &str| now.rate(before?, name);
        let risen = |name: &str| now.risen(before?, name).map(whole);
        let count = |name: &str| now.value(name).map(whole);
        let (slow, resets) = ("ltm_slow_subscribers_total", "ltm_resets_total");
        Self {
            requests_per_second: rate("ltm_http_requests_total"),
            entries_per_second: rate("ltm_entries_total"),
            subscribers: count("ltm_subscribers"),
            messages_per_second: rate("ltm_deliveries_total"),
            mean_lag: before.and_then(|before| now.mean_lag(before)),
            p99_lag: before.and_then(|before| now.p99_lag(before)),
            slow_subscribers: count(slow),
            new_slow_subscribers: risen(slow),
            resets: count(resets),
            new_resets: risen(resets),
            memory_bytes: count("process_resident_memory_bytes"),
        }
    }
}

/// A count or a number of bytes, which Prometheus's format writes as a fraction.
fn whole(value: f64) -> u64 {
    // It is neither negative nor a fraction.
    value as u64
}
