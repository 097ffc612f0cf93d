//! The connection to Redis: one server, Sentinels or a cluster, and the scripts that run inside it.

pub(crate) mod cluster;
pub(crate) mod connection;
pub(crate) mod metrics;
pub(crate) mod primary;
pub(crate) mod script;
pub(crate) mod sentinels;
pub(crate) mod settings;
pub(crate) mod tls;
pub(crate) mod transport;
