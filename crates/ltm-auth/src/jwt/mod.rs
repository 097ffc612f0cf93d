//! JSON Web Tokens (RFC 7519): the keys that verify them, and what they claim.

mod claims;
mod jwks;
mod key;
pub(crate) mod key_file;
pub(crate) mod verifier;
