//! The calls about credentials.

pub(crate) mod revocations;
pub(crate) mod ticket;
