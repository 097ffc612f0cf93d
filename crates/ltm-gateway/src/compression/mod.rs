//! Compressed messages (RFC 7692, `permessage-deflate`).
//!
//! The gateway compresses a message once for all subscribers, also if the message refers to earlier ones. A reference
//! is a distance back from the end of all that was sent *compressed* on a connection. So connections that end with the
//! same bytes can share a message that refers to no more than these bytes.
//!
//! - [`past::Past`] is what a topic, or a page of a log, has compressed so far. Its last bytes are the context of its
//!   next message.
//! - [`past::Window`] is what a connection knows of such a past. It decides which form of a message the connection can
//!   read: in context, alone, or plain.
//!
//! The decision 0017 has the reasons.

mod deflate;
pub(crate) mod inflate;
pub(crate) mod limits;
pub(crate) mod negotiation;
pub(crate) mod past;
#[cfg(test)]
mod tests;
