//! Keys that verify JWTs: a single key, or a JSON Web Key Set (RFC 7517).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use crate::settings::JwtAlgorithm;

/// The most usable keys of a set.
const MAX_KEYS: usize = 100;
/// The shortest secret for HS256, in bytes (RFC 7518 section 3.2).
const SHORTEST_SECRET: usize = 32;

/// A key with its algorithm. The token never chooses the algorithm, so a public key is never used as a secret.
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(
        "auth.jwt_algorithm is not set; set it to the algorithm of the key: RS256, ES256, EdDSA or HS256"
    )]
    NoAlgorithm,
    #[error("the key is in PEM, so it is not a secret, but auth.jwt_algorithm is HS256")]
    PemAsSecret,
    #[error("the secret has {0} bytes; HS256 needs at least {SHORTEST_SECRET}")]
    ShortSecret(usize),
    #[error("not a secret for HS256: {0}")]
    NotASecret(#[source] jsonwebtoken::errors::Error),
    #[error("not a public key in PEM for auth.jwt_algorithm: {0}")]
    NotPublic(#[from] jsonwebtoken::errors::Error),
    #[error("not a key set: {0}")]
    NotASet(#[from] serde_json::Error),
    #[error("there are more than {MAX_KEYS} keys in the set")]
    TooMany,
    #[error("no key in the set is for RS256, ES256 or EdDSA")]
    NoneUsable,
}

impl Key {
    /// The keys of a file: a set, or a single key for `algorithm`.
    pub(crate) fn read(text: &str, algorithm: Option<JwtAlgorithm>) -> Result<Vec<Self>, KeyError> {
        if text.trim_start().starts_with('{') {
            return Self::of_set(text);
        }
        let is_pem = text.contains("-----BEGIN");
        let pem = text.as_bytes();
        let (algorithm, key) = match algorithm.ok_or(KeyError::NoAlgorithm)? {
            JwtAlgorithm::HS256 if is_pem => return Err(KeyError::PemAsSecret),
            JwtAlgorithm::HS256 => (Algorithm::HS256, secret(text)?),
            JwtAlgorithm::RS256 => (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)?),
            JwtAlgorithm::ES256 => (Algorithm::ES256, DecodingKey::from_ec_pem(pem)?),
            JwtAlgorithm::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)?),
        };
        let id = None;
        Ok(vec![Self { id, algorithm, key }])
    }

    /// The usable keys of a set. Others are ignored.
    pub(crate) fn of_set(text: &str) -> Result<Vec<Self>, KeyError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_str(text)?;
        let keys = set.keys.into_iter().filter_map(Self::of_jwk);
        let keys: Vec<Self> = keys.take(MAX_KEYS + 1).collect();
        match keys.len() {
            0 => Err(KeyError::NoneUsable),
            1..=MAX_KEYS => Ok(keys),
            _ => Err(KeyError::TooMany),
        }
    }

    fn of_jwk(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        let common = &jwk.common;
        let signs = common
            .public_key_use
            .as_ref()
            .is_none_or(|of| *of == PublicKeyUse::Signature);
        if !signs || common.key_algorithm.is_some_and(|of| of != named) {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithm,
            key: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }
}

fn secret(text: &str) -> Result<DecodingKey, KeyError> {
    let secret = text.trim().as_bytes();
    if secret.len() < SHORTEST_SECRET {
        return Err(KeyError::ShortSecret(secret.len()));
    }
    DecodingKey::from_secret(secret).map_err(KeyError::NotASecret)
}
