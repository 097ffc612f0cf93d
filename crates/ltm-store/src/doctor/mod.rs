//! Checks of Redis and of what is stored in it.

mod checkup;
pub(crate) mod clock;
pub(crate) mod permissions;
pub(crate) mod readiness;
pub(crate) mod stray_keys;
pub(crate) mod verify;
