//! Following an LTM: connections, messages and views.

pub(crate) mod event;
pub(crate) mod follower;
mod sse;
pub(crate) mod stream;
mod transport;
pub(crate) mod view;
mod websocket;
