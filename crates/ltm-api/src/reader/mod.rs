//! Reading an LTM: its document, its history, its state at a snapshot. Nothing here knows of HTTP.

mod document;
mod error;
mod history_json;
mod history_page;
mod json_stream;
mod point_in_time;
mod read;
mod rollback_items;
mod rollback_page;
mod rollback_rows;
mod shared_reads;
mod state_at;

pub(crate) use document::{Content, Documents};
pub(crate) use error::ReadError;
pub(crate) use json_stream::parts;
pub(crate) use point_in_time::{PointInTime, despite_trims};
pub(crate) use read::Reader;
pub(crate) use shared_reads::LARGE;
