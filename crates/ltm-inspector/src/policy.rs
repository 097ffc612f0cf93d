//! The headers of the page and its files: what a browser may do with them.

/// The headers of every answer.
pub(crate) const HEADERS: &[(&str, &str)] = &[
    ("Content-Security-Policy", CONTENT),
    ("X-Content-Type-Options", "nosniff"),
    // A URL names an LTM, which is private.
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// Only files of this server, no inline script or style, no framing by other pages. Text never becomes markup: the
/// page creates none, so that it needs no trusted type.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
