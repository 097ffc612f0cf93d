//! What turns the access log on (`log.access`), and what its lines know of a request.

/// The target of its lines, by which the log lets them through.
pub(crate) const TARGET: &str = "access";

/// The name of the caller of a request: `sub` of a JWT, or the name of an API key.
pub(crate) struct CallerName(pub(crate) String);

/// Whether requests are logged.
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::INFO)
}
