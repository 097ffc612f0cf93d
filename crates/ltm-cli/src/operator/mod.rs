//! The commands for operators: they read Redis itself, or make an API key.

pub(crate) mod doctor;
pub(crate) mod key;
mod redis_args;
pub(crate) mod verify;
