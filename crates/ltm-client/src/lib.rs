#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod error;
mod event;
mod follower;
mod link;
mod options;
mod pauses;
mod producer;
mod server_url;
mod socket;
mod source;
mod stream;
mod token;
mod view;

pub use answer::{Answer, Appended, Body, Copied, Created, Page, Recorded, StateAt, WentBack};
pub use client::{Builder, Client};
pub use error::Error;
pub use event::{Change, Event, Message, MessageError, Reset, Rollback, Snapshot};
pub use follower::Start;
/// The types of ids, cursors and problems.
pub use ltm_types::{Cursor, LtmId, Problem, ProblemKind};
pub use options::Options;
pub use pauses::Pauses;
pub use producer::{Producer, Write};
pub use server_url::{ServerUrl, ServerUrlError};
pub use stream::{Follow, Views};
pub use token::{Token, TokenError};
pub use view::{Misfit, Status, View};
