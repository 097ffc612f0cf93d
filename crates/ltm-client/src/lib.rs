#![doc = include_str!("../README.md")]

mod answer;
mod backoff;
mod client;
mod error;
mod follow;
mod http;
mod options;
mod producer;
mod revocation;
mod route;
mod server_url;
mod text;
mod token;

pub use answer::{
    Answer, Appended, AppendedBatch, Copied, Counts, Created, ListFilter, Page, RawAnswer,
    Recorded, RolledBack, StateAt,
};
pub use backoff::Backoff;
pub use client::{Builder, Client};
pub use error::{Error, Misfit};
pub use follow::{
    event::{Change, Event, Message, MessageError, Reset, Rollback, Snapshot},
    follower::Start,
    stream::{Follow, Views},
    view::{Status, View},
};
pub use ltm_types::{
    Cursor, LtmId, LtmKey, LtmKeyError, LtmRef, LtmRefError, Problem, ProblemKind,
};
pub use options::Options;
pub use producer::{Producer, Write};
pub use revocation::Revocable;
pub use route::Route;
pub use server_url::{ServerUrl, ServerUrlError};
pub use text::TextStream;
pub use token::{Token, TokenError};
