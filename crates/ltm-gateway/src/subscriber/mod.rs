//! One subscriber: what it asks for, sends and receives, and how its subscription ends.

pub(crate) mod close;
pub(crate) mod drain;
pub(crate) mod event_queue;
pub(crate) mod follow_request;
pub(crate) mod frame_reader;
pub(crate) mod inbound;
pub(crate) mod large_messages;
pub(crate) mod outbound;
pub(crate) mod per_ltm_limit;
pub(crate) mod session_auth;
pub(crate) mod subscription;
