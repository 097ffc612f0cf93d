//! The metrics of the API.

use std::{sync::atomic::AtomicU64, time::Duration};

use jiff::SignedDuration;
use ltm_store::ListCounts;
use ltm_types::{Entry, Kind};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The counters of one process.
pub(crate) struct Metrics {
    appends: Family<OfKind, Histogram>,
    entries: Family<OfKind, Counter>,
    entry_bytes: Counter,
    conflicts: Counter,
    created: Counter,
    deleted: Counter,
    checkpoints: Counter,
    trims: Counter,
    ltms: Family<OfStatus, Gauge>,
    inactive: Gauge<f64, AtomicU64>,
}

/// The statuses with a series of their own. An engine can choose any word, so there is one series for all others.
const STATUSES: [&str; 5] = ["init", "queued", "active", "finished", "error"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStatus {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

impl OfKind {
    /// The services write no other kinds.
    fn of(kind: &Kind) -> Self {
        Self {
            kind: match kind {
                Kind::Snapshot => "snapshot",
                Kind::Rollback => "rollback",
                Kind::Error => "error",
                Kind::Deleted => "deleted",
                Kind::Other(_) => "other",
            },
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            // From 100 µs to 6.5 s.
            appends: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(100e-6, 2.0, 17))
            }),
            entries: Family::default(),
            entry_bytes: Counter::default(),
            conflicts: Counter::default(),
            created: Counter::default(),
            deleted: Counter::default(),
            checkpoints: Counter::default(),
            trims: Counter::default(),
            ltms: Family::default(),
            inactive: Gauge::default(),
        }
    }

    /// Entries of one kind were appended, `after` their request was read.
    pub(crate) fn appended(&self, entries: &[Entry], after: Duration) {
        let Some(first) = entries.first() else { return };
        let labels = OfKind::of(&first.kind);
        self.appends
            .get_or_create(&labels)
            .observe(after.as_secs_f64());
        for entry in entries {
            self.wrote(&labels, entry.payload.len());
        }
    }

    /// The log had newer entries than the write was made for.
    pub(crate) fn conflict(&self) {
        self.conflicts.inc();
    }

    /// An LTM was created; its first entry has this many bytes.
    pub(crate) fn created(&self, bytes: usize) {
        self.created.inc();
        self.wrote(&OfKind::of(&Kind::Snapshot), bytes);
    }

    /// An LTM was made as a copy.
    pub(crate) fn copied(&self) {
        self.created.inc();
    }

    /// An LTM was deleted.
    pub(crate) fn deleted(&self) {
        self.deleted.inc();
        self.wrote(&OfKind::of(&Kind::Deleted), 0);
    }

    /// A checkpoint was written.
    pub(crate) fn checkpoint(&self) {
        self.checkpoints.inc();
    }

    /// Entries were removed from the beginning of a log.
    pub(crate) fn trimmed(&self) {
        self.trims.inc();
    }

    /// There are so many LTMs.
    pub(crate) fn ltms(&self, counts: &ListCounts) {
        let mut rest = counts.total;
        for status in STATUSES {
            let found = counts.status.iter().find(|(word, _)| word == status);
            let count = found.map_or(0, |(_, count)| *count);
            rest = rest.saturating_sub(count);
            self.set_ltms(status, count);
        }
        self.set_ltms("other", rest);
    }

    /// Of all active LTMs, the one without an entry for the longest time has had none for so long.
    pub(crate) fn longest_inactive(&self, time: SignedDuration) {
        self.inactive.set(time.as_secs_f64().max(0.0));
    }

    fn set_ltms(&self, status: &'static str, count: u64) {
        let gauge = self.ltms.get_or_create(&OfStatus { status });
        gauge.set(count.try_into().unwrap_or(i64::MAX));
    }

    fn wrote(&self, labels: &OfKind, bytes: usize) {
        self.entries.get_or_create(labels).inc();
        self.entry_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        // A rate needs a 0 before the first entry.
        for kind in [Kind::Snapshot, Kind::Rollback, Kind::Error, Kind::Deleted] {
            drop(self.entries.get_or_create(&OfKind::of(&kind)));
        }
        registry.register_with_unit(
            "append_duration",
            "Time from reading the body of a write to its entries being in Redis, including waits for other writes",
            Unit::Seconds,
            self.appends.clone(),
        );
        registry.register(
            "entries",
            "Entries written to logs, not counting copies",
            self.entries.clone(),
        );
        registry.register_with_unit(
            "entry",
            "Payloads of the entries written to logs",
            Unit::Bytes,
            self.entry_bytes.clone(),
        );
        registry.register(
            "append_conflicts",
            "Writes that met a log with newer entries and were applied again",
            self.conflicts.clone(),
        );
        registry.register(
            "ltms",
            "LTMs outside the playground, by status, as the last look at api.list_interval found them",
            self.ltms.clone(),
        );
        registry.register_with_unit(
            "active_without_entry",
            "Longest time that an active LTM outside the playground has had no entry, as the last look at api.list_interval found it",
            Unit::Seconds,
            self.inactive.clone(),
        );
        registry.register(
            "ltms_created",
            "LTMs created, including copies",
            self.created.clone(),
        );
        registry.register(
            "ltms_deleted",
            "LTMs deleted by a request or by retention.idle_ttl",
            self.deleted.clone(),
        );
        registry.register(
            "checkpoints",
            "Checkpoints written",
            self.checkpoints.clone(),
        );
        registry.register(
            "trims",
            "Times that old entries were removed from the beginning of a log",
            self.trims.clone(),
        );
    }
}
