//! The process: arguments, settings, log, signals, background tasks.

pub(crate) mod log;
pub(crate) mod program;
pub(crate) mod run_error;
pub(crate) mod settings;
pub(crate) mod shutdown;
pub(crate) mod start_line;
pub mod tasks;
pub(crate) mod version;
