//! The commands for operators: they read Redis itself, or make an API key.

mod archive;
pub(crate) mod backup;
pub(crate) mod doctor;
pub(crate) mod key;
mod redis_args;
pub(crate) mod restore;
mod selection;
pub(crate) mod verify;
