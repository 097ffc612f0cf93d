//! What this program was built from.

/// The commit, as far as it was known: the first twelve digits of its hash.
pub(crate) const COMMIT: &str = env!("LTM_COMMIT");
/// What `--version` says: `0.1.0 (0123456789ab)`.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("LTM_COMMIT"), ")");
