//! Verifies JWTs (RFC 7519), as RFC 8725 recommends.

use std::sync::Arc;

use jsonwebtoken::{Header, Validation, decode, decode_header, errors::ErrorKind};
use ltm_settings::SettingError;
use ltm_store::Spawner;
use serde_json::Value;

use crate::{
    caller::{Caller, now},
    error::{AuthError, TokenError},
    jwt::claims::{self, TimeRules},
    jwt::jwks::Jwks,
    jwt::key::Key,
    jwt::key_file::KeyFile,
    settings::AuthSettings,
};

/// Verifies tokens.
pub(crate) struct Verifier {
    keys: Keys,
    issuer: String,
    audience: String,
    rules: TimeRules,
}

enum Keys {
    File(KeyFile<Vec<Key>>),
    Url(Arc<Jwks>),
}

impl Verifier {
    /// The verifier for these settings; `None` if they name no keys.
    pub(crate) fn of(
        settings: &AuthSettings,
        spawner: Spawner,
    ) -> Result<Option<Self>, SettingError> {
        let algorithm = settings.jwt_algorithm;
        let keys = if !settings.jwt_key_file.as_os_str().is_empty() {
            let read = move |text: &str| Key::read(text, algorithm);
            let path = &settings.jwt_key_file;
            Keys::File(KeyFile::open("auth.jwt_key_file", path, read)?)
        } else if !settings.jwks_url.is_empty() {
            let jwks = Jwks::of(settings, spawner)
                .map_err(|e| SettingError::caused("auth.jwks_url", &e))?;
            Keys::Url(Arc::new(jwks))
        } else {
            return Ok(None);
        };
        Ok(Some(Self {
            keys,
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            rules: TimeRules {
                leeway: settings.leeway.as_secs(),
                max_lifetime: settings.max_lifetime.as_secs(),
            },
        }))
    }

    /// The caller that a token names.
    pub(crate) async fn caller(&self, token: &str) -> Result<Caller, AuthError> {
        let header = decode_header(token).map_err(|e| invalid(reason(e.kind())))?;
        if header.crit.is_some() {
            return Err(invalid(TokenError::Extensions));
        }
        let keys = self.keys(&header).await?;
        let mut failure = TokenError::UnknownKey;
        for key in keys.iter().filter(|key| suits(key, &header)) {
            match decode::<Value>(token, &key.key, &self.validation(key)) {
                Ok(token) => {
                    return claims::caller(&token.claims, self.rules, now()).map_err(invalid);
                }
                Err(error) => failure = reason(error.kind()),
            }
        }
        Err(invalid(failure))
    }

    async fn keys(&self, header: &Header) -> Result<Arc<Vec<Key>>, AuthError> {
        match &self.keys {
            Keys::File(file) => Ok(file.get()),
            Keys::Url(jwks) => {
                jwks.keys(|keys| keys.iter().any(|key| suits(key, header)))
                    .await
            }
        }
    }

    fn validation(&self, key: &Key) -> Validation {
        let mut validation = Validation::new(key.algorithm);
        // The library rejects times with a fraction if serde_json keeps every digit, so `claims` checks the times.
        validation.validate_exp = false;
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["aud"]);
        if !self.issuer.is_empty() {
            validation.set_issuer(&[&self.issuer]);
            validation.set_required_spec_claims(&["aud", "iss"]);
        }
        validation
    }
}

/// Whether this key may verify a token with this header.
fn suits(key: &Key, header: &Header) -> bool {
    let same_id = match (&key.id, &header.kid) {
        (Some(id), Some(asked)) => id == asked,
        _ => true,
    };
    same_id && key.algorithm == header.alg
}

fn invalid(error: TokenError) -> AuthError {
    AuthError::InvalidToken(error)
}

/// What is wrong with a token, without a part of it.
fn reason(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::MissingRequiredClaim(_) => TokenError::MissingClaim,
        ErrorKind::InvalidSignature => TokenError::Signature,
        _ => TokenError::Malformed,
    }
}
