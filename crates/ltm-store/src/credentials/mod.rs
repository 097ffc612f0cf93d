//! What Redis holds of credentials: revocations and tickets.

pub(crate) mod revocations;
mod ticket;
