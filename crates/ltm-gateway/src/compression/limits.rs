//! Which texts are compressed.

use crate::settings::{GatewaySettings, bytes};

/// The settings of compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompressionLimits {
    min_size: usize,
    max_size: usize,
    min_subscribers: usize,
}

impl CompressionLimits {
    pub(crate) fn new(settings: &GatewaySettings) -> Self {
        Self {
            min_size: bytes(settings.compression_min_size),
            max_size: bytes(settings.compression_max_size),
            min_subscribers: settings.compression_min_subscribers,
        }
    }

    /// Whether a text of this length is compressed while other subscribers of the thread wait.
    pub(crate) fn allow(self, length: usize) -> bool {
        self.is_worth(length) && length <= self.max_size
    }

    /// Whether a text of this length is compressed while nobody waits.
    pub(crate) fn is_worth(self, length: usize) -> bool {
        length >= self.min_size.max(1)
    }

    /// Whether a live message is compressed for this many subscribers that can inflate.
    pub(crate) fn allow_for(self, subscribers: usize) -> bool {
        subscribers >= self.min_subscribers.max(1)
    }
}
