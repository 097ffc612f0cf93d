//! The commands for operators: they read Redis itself, make an API key, or size a deployment.

mod archive;
pub(crate) mod backup;
pub(crate) mod doctor;
pub(crate) mod key;
mod redis_args;
pub(crate) mod restore;
mod selection;
pub(crate) mod size;
pub(crate) mod verify;
