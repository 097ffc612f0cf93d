//! Keys that JWTs are proved with: one from a file, or a JSON Web Key Set (RFC 7517) from a file or a URL.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{AuthError, AuthSettings, JwtAlgorithm};

/// The most keys of a set that can be used here.
const MAX_KEYS: usize = 100;
/// The largest answer that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The shortest secret of HS256, in bytes (RFC 7518 section 3.2).
const SHORTEST_SECRET: usize = 32;

/// A key, and what it is for. A token does not choose how it is proved: a public key is never taken for a secret.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Key {
    /// The keys of a file: a set, or a single key for `algorithm`.
    pub(super) fn read(text: &str, algorithm: Option<JwtAlgorithm>) -> Result<Vec<Self>, String> {
        if text.trim_start().starts_with('{') {
            return Self::of_set(text);
        }
        let missing = "auth.jwt_algorithm is not set; it says what the key is for: RS256, ES256, EdDSA or HS256";
        let is_pem = text.contains("-----BEGIN");
        let pem = text.as_bytes();
        let (algorithm, key) = match algorithm.ok_or(missing)? {
            JwtAlgorithm::HS256 if is_pem => {
                return Err("a key in PEM is no secret, and auth.jwt_algorithm is HS256".into());
            }
            JwtAlgorithm::HS256 => (Algorithm::HS256, secret(text)?),
            JwtAlgorithm::RS256 => (Algorithm::RS256, public(DecodingKey::from_rsa_pem(pem))?),
            JwtAlgorithm::ES256 => (Algorithm::ES256, public(DecodingKey::from_ec_pem(pem))?),
            JwtAlgorithm::EdDsa => (Algorithm::EdDSA, public(DecodingKey::from_ed_pem(pem))?),
        };
        let id = None;
        Ok(vec![Self { id, algorithm, key }])
    }

    /// Those of a set that can be used here; others are passed over.
    fn of_set(text: &str) -> Result<Vec<Self>, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_str(text).map_err(|e| format!("not a key set: {e}"))?;
        let keys = set.keys.into_iter().filter_map(Self::of_jwk);
        let keys: Vec<Self> = keys.take(MAX_KEYS + 1).collect();
        if keys.len() > MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS} keys in the set"));
        }
        if keys.is_empty() {
            return Err("no key in the set is for RS256, ES256 or EdDSA".into());
        }
        Ok(keys)
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

fn secret(text: &str) -> Result<DecodingKey, String> {
    let secret = text.trim().as_bytes();
    if secret.len() < SHORTEST_SECRET {
        return Err(format!(
            "the secret has {} bytes; HS256 needs {SHORTEST_SECRET}",
            secret.len()
        ));
    }
    DecodingKey::from_secret(secret).map_err(|e| format!("not a secret for HS256: {e}"))
}

fn public(key: Result<DecodingKey, jsonwebtoken::errors::Error>) -> Result<DecodingKey, String> {
    key.map_err(|e| format!("not a public key in PEM for auth.jwt_algorithm: {e}"))
}

/// A set that is served somewhere, and what was last read of it.
pub(super) struct Jwks {
    url: String,
    max_age: Duration,
    pause: Duration,
    client: reqwest::Client,
    held: RwLock<Held>,
    /// Held while it is asked for.
    asking: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Held {
    keys: Arc<Vec<Key>>,
    /// When it was asked for, and when it was got.
    asked: Option<Instant>,
    got: Option<Instant>,
}

impl Jwks {
    pub(super) fn of(settings: &AuthSettings) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .timeout(settings.jwks_timeout)
            // Where the set is was said by the operator.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self {
            url: settings.jwks_url.clone(),
            max_age: settings.jwks_max_age,
            pause: settings.jwks_pause,
            client,
            held: RwLock::default(),
            asking: Arc::default(),
        })
    }

    /// The keys, asked for again where they are old, or where `suits` finds none among them. Only who finds none waits
    /// for the answer.
    pub(super) async fn keys(
        self: &Arc<Self>,
        suits: impl Fn(&[Key]) -> bool,
    ) -> Result<Arc<Vec<Key>>, AuthError> {
        let too_old = |got: Instant| got.elapsed() >= self.max_age;
        let look = |held: &Held| (suits(&held.keys), held.got.is_none_or(too_old));
        let (suited, is_old) = self.held(look);
        if is_old || !suited {
            self.ask_aside();
        }
        if !suited {
            // Whoever asks has this until the answer is there.
            drop(self.asking.lock().await);
        }
        if self.held(|held| held.got.is_none()) {
            let detail = "auth.jwks_url has not answered with keys yet; the log says why";
            return Err(AuthError::NoKeys(detail.into()));
        }
        Ok(self.held(|held| held.keys.clone()))
    }

    /// Lets it be asked for where nobody does so, and it was not asked for just now.
    fn ask_aside(self: &Arc<Self>) {
        let Ok(turn) = self.asking.clone().try_lock_owned() else {
            return;
        };
        let may_ask = |held: &Held| held.asked.is_none_or(|asked| asked.elapsed() >= self.pause);
        if self.held(may_ask) {
            let jwks = self.clone();
            // Who wants to know may leave; the answer is for all.
            tokio::spawn(async move {
                jwks.ask().await;
                drop(turn);
            });
        }
    }

    fn held<T>(&self, read: impl Fn(&Held) -> T) -> T {
        read(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks; where that fails, what was got before still counts.
    async fn ask(&self) {
        let answer = self.fetch().await;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.asked = Some(Instant::now());
        match answer {
            Ok(keys) => {
                tracing::info!(url = self.url, keys = keys.len(), "keys were read");
                held.keys = Arc::new(keys);
                held.got = Some(Instant::now());
            }
            Err(error) => {
                tracing::error!(
                    setting = "auth.jwks_url",
                    url = self.url,
                    error,
                    "keys cannot be read; those that were read before still count"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let asked = self.client.get(&self.url).send().await;
        let answer = asked.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(|e| e.without_url().to_string())?;
        let mut text = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|e| e.without_url().to_string())?
        {
            text.extend_from_slice(&chunk);
            if text.len() > MAX_BYTES {
                return Err(format!("the answer has more than {MAX_BYTES} bytes"));
            }
        }
        Key::of_set(&String::from_utf8(text).map_err(|e| e.to_string())?)
    }
}
