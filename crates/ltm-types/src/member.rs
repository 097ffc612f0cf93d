//! The members of a state that the services know.

/// The status of the LTM.
pub const STATUS: &str = "_status";
/// The run of AG-UI that was recorded last. Only a recorded LTM has it.
pub const RUN: &str = "_run";
/// The messages of a thread of AG-UI.
pub const MESSAGES: &str = "_messages";
