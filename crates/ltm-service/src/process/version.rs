//! The version of this program.

/// The first twelve digits of the commit that it was built from, or `unknown`.
pub(crate) const COMMIT: &str = env!("LTM_COMMIT");
/// What `--version` prints: `0.1.0 (0123456789ab)`.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("LTM_COMMIT"), ")");
