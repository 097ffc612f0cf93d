//! The file of a backup: records as lines of JSON, in frames of zstd one after the other.
//!
//! `zstd -dc FILE` prints the lines. A frame ends only between two LTMs, so a file that breaks off is complete up to the
//! end of a frame, and a later attempt goes on there. Each frame has a checksum.

mod read;
mod write;

pub(crate) use read::{ArchiveReader, ReadError};
pub(crate) use write::ArchiveWriter;
