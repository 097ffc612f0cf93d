//! The document of an LTM: state, history, errors, and the cursor to follow from.

mod cache;
mod parts;
mod shared;
mod text;

pub(crate) use shared::{Content, Documents};
