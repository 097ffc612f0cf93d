//! What connects the command to the shell and the desktop: completions, manual pages, the browser.

pub(crate) mod completions;
pub(crate) mod man;
pub(crate) mod open;
