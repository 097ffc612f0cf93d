//! The headers of the page and its files: what a browser may do with them.

use std::sync::Arc;

use crate::gateway::Gateway;

/// The headers of every answer, besides the policy of its content.
const HEADERS: [(&str, &str); 4] = [
    ("X-Content-Type-Options", "nosniff"),
    // A URL names an LTM, which is private.
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// Only files of this server, no inline script or style, no framing by other pages. Text never becomes markup: the
/// page creates none, so that it needs no trusted type.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'; connect-src 'self'";

/// The headers of every answer. The page may connect to this server, and to a gateway elsewhere.
pub(crate) fn headers(gateway: Option<&Gateway>) -> Arc<[(&'static str, String)]> {
    let elsewhere = gateway.map_or_else(String::new, |gateway| {
        format!(" {} {}", gateway.origin, gateway.socket_origin)
    });
    let content = ("Content-Security-Policy", format!("{CONTENT}{elsewhere}"));
    let others = HEADERS.map(|(name, value)| (name, value.to_owned()));
    std::iter::once(content).chain(others).collect()
}
