//! The conditions under which a request may write (RFC 9110 section 13.1, and the idempotency and producer
//! headers).

use ltm_store::{Idempotency, ProducerEpoch};
use ltm_types::Cursor;

use super::error::WriteError;

/// The conditions under which to write.
pub(crate) struct Preconditions<'a> {
    /// The cursors at which to write; `None` for any.
    pub(crate) if_match: Option<Vec<Cursor>>,
    /// How a repeated request is recognised.
    pub(crate) idempotency: Option<Idempotency<'a>>,
    /// The producer that writes, if it named itself.
    pub(crate) producer: Option<ProducerEpoch>,
}

impl Preconditions<'_> {
    /// Adds the cursor that the body of the request names. It must not contradict the header.
    pub(crate) fn add_base(&mut self, base: Cursor) -> Result<(), WriteError> {
        match &self.if_match {
            Some(cursors) if *cursors != [base] => {
                let shown: Vec<String> = cursors.iter().map(ToString::to_string).collect();
                let shown = shown.join(", ");
                let problem =
                    format!("`base` is {base}, and If-Match names {shown}; send one of them");
                Err(WriteError::invalid("base", problem))
            }
            _ => {
                self.if_match = Some(vec![base]);
                Ok(())
            }
        }
    }

    /// Checks whether the request may write to a log whose head is `position`.
    pub(crate) fn check(&self, position: Cursor) -> Result<(), WriteError> {
        match &self.if_match {
            Some(cursors) if !cursors.contains(&position) => {
                Err(WriteError::Precondition(position))
            }
            _ => Ok(()),
        }
    }
}
