//! Checks of Redis, of its keys and of whole logs.

mod checkup;
pub(crate) mod clock;
pub(crate) mod permissions;
pub(crate) mod readiness;
pub(crate) mod stray_keys;
pub(crate) mod verify;
