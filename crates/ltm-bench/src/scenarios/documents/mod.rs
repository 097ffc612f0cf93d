//! `GET` of documents.

pub(crate) mod history;
mod meanwhile;
pub(crate) mod opening;
