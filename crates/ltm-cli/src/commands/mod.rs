//! The commands that ask the API and the gateway, one per file.

pub(crate) mod append;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod diff;
pub(crate) mod errors;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod rollback;
pub(crate) mod tail;
pub(crate) mod wait;
