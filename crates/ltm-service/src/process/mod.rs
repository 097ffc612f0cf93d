//! The process: arguments, settings, log, signals, background tasks.

pub(crate) mod log;
pub(crate) mod program;
pub(crate) mod settings;
pub(crate) mod shutdown;
pub mod tasks;
pub(crate) mod version;
