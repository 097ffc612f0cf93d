//! The states in memory, and when they are stored.

mod cache;
mod checkpoint_policy;
mod metrics;

pub(crate) use cache::LockError;
pub(crate) use cache::{Cached, StateCache, StateGuard};
