//! Redis: the client, its connections to one server, to a primary behind Sentinels or to a cluster, and the scripts.

pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod connection;
pub(crate) mod metrics;
pub(crate) mod primary;
pub(crate) mod reads;
pub(crate) mod script;
pub(crate) mod sentinels;
pub(crate) mod settings;
pub(crate) mod tls;
