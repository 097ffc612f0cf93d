//! How entries get from Redis to the sockets of one thread: live, and from the log.

pub(crate) mod backlog;
pub(crate) mod delivery_spans;
pub(crate) mod entry_message;
pub(crate) mod fan_out;
pub(crate) mod frames;
pub(crate) mod live_subscriber;
pub(crate) mod log_source;
pub(crate) mod message;
pub(crate) mod run_queue;
pub(crate) mod topic;
pub(crate) mod topics;
pub(crate) mod worker;
