//! The operations on the log of an LTM, and on the keys beside it.

pub(crate) mod append;
mod copy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod meta;
pub(crate) mod read;
pub(crate) mod retention;
pub(crate) mod send;
pub(crate) mod snapshots;
pub(crate) mod state;
