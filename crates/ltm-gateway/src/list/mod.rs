//! Lists of LTMs, live.

pub(crate) mod feed;
pub(crate) mod page;
pub(crate) mod shares;
pub(crate) mod subscriber;
