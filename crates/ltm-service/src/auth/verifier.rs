//! Proves JWTs (RFC 7519), as RFC 8725 says to.

use std::sync::Arc;

use jsonwebtoken::{Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::Value;

use super::{
    AuthError, AuthSettings, Caller,
    caller::now,
    claims,
    file::WatchedFile,
    jwks::{Jwks, Key},
};
use ltm_settings::SettingError;

/// Proves tokens.
pub(super) struct Verifier {
    keys: Keys,
    issuer: String,
    audience: String,
    leeway: u64,
}

enum Keys {
    File(WatchedFile<Vec<Key>>),
    Url(Arc<Jwks>),
}

impl Verifier {
    /// What the settings ask for, where they name keys.
    pub(super) fn of(settings: &AuthSettings) -> Result<Option<Self>, SettingError> {
        let algorithm = settings.jwt_algorithm;
        let keys = if !settings.jwt_key_file.as_os_str().is_empty() {
            let read = move |text: &str| Key::read(text, algorithm);
            let path = &settings.jwt_key_file;
            Keys::File(WatchedFile::open("auth.jwt_key_file", path, read)?)
        } else if !settings.jwks_url.is_empty() {
            let refused = |problem| SettingError::new("auth.jwks_url", problem);
            Keys::Url(Arc::new(Jwks::of(settings).map_err(refused)?))
        } else {
            return Ok(None);
        };
        Ok(Some(Self {
            keys,
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            leeway: settings.leeway.as_secs(),
        }))
    }

    /// Who a token is for.
    pub(super) async fn caller(&self, token: &str) -> Result<Caller, AuthError> {
        let invalid = |detail: &str| AuthError::InvalidToken(detail.into());
        let header = decode_header(token).map_err(|e| invalid(reason(e.kind())))?;
        if header.crit.is_some() {
            // RFC 7515 section 4.1.11: what must be understood is not understood here.
            return Err(invalid("its header has `crit`"));
        }
        let keys = self.keys(&header).await?;
        let mut failure = "no key here has its `kid` and `alg`";
        for key in keys.iter().filter(|key| suits(key, &header)) {
            match decode::<Value>(token, &key.key, &self.validation(key)) {
                Ok(proved) => {
                    return claims::caller(&proved.claims, self.leeway, now())
                        .map_err(AuthError::InvalidToken);
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
        // The library takes no fractions where serde_json keeps every digit: `claims` looks at times.
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

/// Whether a token with this header may be proved by this key.
fn suits(key: &Key, header: &Header) -> bool {
    let same_id = match (&key.id, &header.kid) {
        (Some(id), Some(asked)) => id == asked,
        _ => true,
    };
    same_id && key.algorithm == header.alg
}

/// What is wrong, without a word of the token.
fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidAudience => "`aud` is not auth.audience",
        ErrorKind::InvalidIssuer => "`iss` is not auth.issuer",
        ErrorKind::MissingRequiredClaim(_) => "`aud` or `iss` is missing",
        ErrorKind::InvalidSignature => "no key here signed it",
        _ => "it is not a JWT that is signed in a way that is known here",
    }
}
