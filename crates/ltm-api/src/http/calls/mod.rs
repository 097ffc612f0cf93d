//! The calls of the API, a file for each: parameters and body in, one call of the writer or the reader, answer out.

pub(super) mod append;
pub(super) mod copy;
pub(super) mod create;
pub(super) mod credentials;
pub(super) mod delete;
pub(super) mod document;
pub(super) mod errors;
pub(super) mod list;
pub(super) mod rollbacks;
pub(super) mod snapshots;
pub(super) mod state;
pub(super) mod wait;
