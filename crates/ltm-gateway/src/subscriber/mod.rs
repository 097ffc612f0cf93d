//! One subscriber: what it is sent, what it says, and how it ends.

pub(crate) mod close;
pub(crate) mod drain;
pub(crate) mod event_queue;
pub(crate) mod follow_request;
pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod per_ltm_limit;
pub(crate) mod session_auth;
pub(crate) mod subscription;
