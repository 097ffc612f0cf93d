//! Random texts that nobody can guess, and their hashes.

use aws_lc_rs::{
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The random bytes of a secret.
const BYTES: usize = 32;

/// The operating system supplies no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system supplies no random numbers")]
pub struct RandomError;

/// A new secret, as text that fits into a URL.
pub(crate) fn random_text() -> Result<String, RandomError> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The hash of a secret. A plain hash is enough, because nobody can try all secrets of this length; slow hashes are for
/// passwords that people choose.
pub(crate) fn hash(secret: &str) -> [u8; SHA256_OUTPUT_LEN] {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}
