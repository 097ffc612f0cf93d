//! The names of keys and channels in Redis.
//!
//! All keys of one LTM share the hash tag `{id}`: one Redis Cluster slot, one script.

use std::fmt::Display;

use crate::LtmId;

/// The counter that new ids come from.
pub const IDS: &str = "ltm:ids";

/// The index that lists LTMs: a sorted set whose members are ids of twenty digits.
pub fn index(playground: bool) -> &'static str {
    if playground {
        "ltm:index:playground"
    } else {
        "ltm:index"
    }
}

/// The index that lists the LTMs of one class.
pub fn class_index(playground: bool, fqn: &str) -> String {
    format!("{}:fqn:{fqn}", index(playground))
}

/// Members of an index whose LTM was not found, and since when: a sorted set by milliseconds.
pub const MISSING: &str = "ltm:index:missing";

/// Set once there is an LTM with a retention of its own.
pub const RETAINED: &str = "ltm:retention:used";

/// Held by the process whose turn it is to look for what retention removes.
pub const RETENTION_TURN: &str = "ltm:retention:turn";

/// An id as a member of the index: zero-padded, so that the order of text is the order of ids.
pub fn index_member(id: LtmId) -> String {
    format!("{:020}", id.get())
}

/// The stream.
pub fn log(id: LtmId) -> String {
    format!("ltm:{{{id}}}:log")
}

/// The hash of what is known about the LTM beside its state.
pub fn meta(id: LtmId) -> String {
    format!("ltm:{{{id}}}:meta")
}

/// The hash of a state and the cursor that it is as of.
pub fn checkpoint(id: LtmId) -> String {
    format!("ltm:{{{id}}}:checkpoint")
}

/// The hash of the state that the kept part of the log begins with, where entries were trimmed.
pub fn base(id: LtmId) -> String {
    format!("ltm:{{{id}}}:base")
}

/// The last cursor of an LTM that was deleted; it keeps the id from being given again.
pub fn deleted(id: LtmId) -> String {
    format!("ltm:{{{id}}}:deleted")
}

/// The hash of the Idempotency-Keys that were seen lately.
pub fn idempotency(id: LtmId) -> String {
    format!("ltm:{{{id}}}:idem")
}

/// The answer to a creation with an Idempotency-Key.
pub fn created(key: &str) -> String {
    format!("ltm:created:{key}")
}

/// What a ticket is worth, by the hash of the ticket.
pub fn ticket(hash: &str) -> String {
    format!("ltm:ticket:{hash}")
}

/// The channel to which each appended entry is published.
pub fn live(id: LtmId) -> String {
    format!("ltm:{{{id}}}:live")
}

/// A channel of a listener's own, for messages that must come back; in a cluster, `tag` says to which primary.
pub fn probe(tag: u32, listener: impl Display) -> String {
    format!("ltm:probe:{{{tag}}}:{listener}")
}

/// The LTM whose [`live`] channel this is.
pub fn live_id(channel: &str) -> Option<LtmId> {
    channel
        .strip_prefix("ltm:{")?
        .strip_suffix("}:live")?
        .parse()
        .ok()
}
