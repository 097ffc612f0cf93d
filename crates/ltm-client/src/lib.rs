#![doc = include_str!("../README.md")]

mod answer;
mod backoff;
mod client;
mod error;
mod event;
mod follower;
mod options;
mod producer;
mod server_url;
mod sse;
mod stream;
mod token;
mod transport;
mod view;
mod websocket;

pub use answer::{
    Answer, Appended, Copied, Created, Page, RawAnswer, Recorded, RolledBack, StateAt,
};
pub use backoff::Backoff;
pub use client::{Builder, Client};
pub use error::Error;
pub use event::{Change, Event, Message, MessageError, Reset, Rollback, Snapshot};
pub use follower::Start;
pub use ltm_types::{Cursor, LtmId, Problem, ProblemKind};
pub use options::Options;
pub use producer::{Producer, Write};
pub use server_url::{ServerUrl, ServerUrlError};
pub use stream::{Follow, Views};
pub use token::{Token, TokenError};
pub use view::{Misfit, Status, View};
