//! JSON as it is in the log: text keeps its spelling, and numbers keep their digits.

mod field;
pub(crate) mod memory;
pub mod number;
mod position;
mod read;
mod size;
mod text;

pub use field::{FieldError, FieldErrorKind, Shape, passthrough};
pub use memory::memory_of;
pub use position::path_at;
pub use read::{JsonError, MAX_DEPTH, read, read_checked};
pub(crate) use size::{JsonSize, is_below, measure, member_bytes, subtract};
pub use text::{TextError, compact};
