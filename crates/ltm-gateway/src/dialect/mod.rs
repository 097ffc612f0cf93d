//! What the messages of a subscription become in an answer of Server-Sent Events. A *dialect* writes the events of one
//! protocol. It gets the messages that a WebSocket gets, and knows neither topics nor Redis.
//!
//! To add one, write a file with an implementation of [`Dialect`](answer::Dialect), and an endpoint in `http` that starts
//! an `SseSubscriber` with it.

pub(crate) mod agui;
pub(crate) mod answer;
mod content;
pub(crate) mod messages;
