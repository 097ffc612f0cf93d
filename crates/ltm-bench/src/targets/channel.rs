//! The kinds of targets, and the channels that a target has.

use ltm_client::{Cursor, LtmId};

/// A kind of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// ltm-api, ltm-gateway and Redis
    Live,
    /// a bare program that writes the same frames to the sockets
    Floor,
    /// nginx with Nchan and Redis
    Nchan,
    /// Centrifugo and Redis
    Centrifugo,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Live => "ltm-live",
            Self::Floor => "floor",
            Self::Nchan => "Nchan",
            Self::Centrifugo => "Centrifugo",
        }
    }
}

/// An LTM, or its counterpart on another target.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) id: LtmId,
    /// The cursor of its first entry.
    pub(crate) cursor: Cursor,
}
