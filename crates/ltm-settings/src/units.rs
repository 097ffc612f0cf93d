//! Settings with a unit.

use bytesize::ByteSize;
/// Durations such as `90s`, `12h` or `1h 30m`, for `#[serde(with = "duration")]`.
pub use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;

/// A size as a length in memory.
pub fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
