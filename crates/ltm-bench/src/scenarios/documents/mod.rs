//! `GET` of documents.

pub(crate) mod history;
pub(crate) mod opening;
