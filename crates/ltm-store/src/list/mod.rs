//! Lists of LTMs, and the index by which they filter.

pub(crate) mod candidates;
pub(crate) mod check;
pub(crate) mod counts;
pub(crate) mod filter;
pub(crate) mod inactive;
pub(crate) mod index;
pub(crate) mod page;
pub(crate) mod terms;
pub(crate) mod told;
