//! What a browser may do with the page, said with each of its files.

/// The headers of every answer.
pub(crate) const HEADERS: &[(&str, &str)] = &[
    ("Content-Security-Policy", CONTENT),
    ("X-Content-Type-Options", "nosniff"),
    // An address names an LTM: it is nobody else's business.
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// Files of this server alone, no script or style in the page itself, in nobody's frame, and text never
/// becomes markup: the page makes none, so that no trusted type is needed.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
