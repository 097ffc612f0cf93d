//! What the store does with the log of an LTM, and with what is stored beside it.

pub(crate) mod append;
mod copy;
pub(crate) mod create;
mod delete;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod meta;
pub(crate) mod read;
pub(crate) mod retention;
pub(crate) mod state;
