//! The load: producers and subscribers on bare sockets.

pub(crate) mod centrifugo;
pub(crate) mod delivery_check;
pub(crate) mod fill;
pub(crate) mod handshake;
pub(crate) mod http;
pub(crate) mod producer;
pub(crate) mod redis;
pub(crate) mod subscribers;
pub(crate) mod threads;
