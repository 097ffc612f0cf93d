//! The HTTP server: connections, limits, common routes, and the one place that maps errors to HTTP responses.

pub(crate) mod admission;
pub(crate) mod browser;
pub(crate) mod compression;
pub(crate) mod connection;
pub(crate) mod credential;
pub(crate) mod head;
pub(crate) mod health;
pub(crate) mod list_query;
pub(crate) mod log_access;
pub(crate) mod ltm_path;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod unread_body;
pub(crate) mod vary;
