//! How much compression saves.

use prometheus_client::{
    metrics::counter::Counter,
    registry::{Registry, Unit},
};

/// The bytes of compressed answers. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Counts {
    plain: Counter,
    sent: Counter,
}

impl Counts {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "http_compression_plain",
            "The size of the answers that were compressed, before compression",
            Unit::Bytes,
            self.plain.clone(),
        );
        registry.register_with_unit(
            "http_compression_sent",
            "The size of the answers that were compressed, after compression",
            Unit::Bytes,
            self.sent.clone(),
        );
    }

    pub(super) fn read(&self, bytes: usize) {
        self.plain.inc_by(bytes as u64);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.inc_by(bytes as u64);
    }
}
