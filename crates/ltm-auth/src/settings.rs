//! The section `auth` of the settings.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use ltm_settings::{SettingError, check_pause, check_wait, duration, shown_url};
use serde::{Deserialize, Serialize, Serializer};

/// Authentication. Both services need the same values. [security.md](security.md) explains how to use them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Whether callers must authenticate.
    ///
    /// Set it in every deployment. A service on a non-loopback address does not start without it.
    pub mode: AuthMode,
    /// A TOML file with the API keys of producers. A service reads it again when it changes. Empty: no API keys.
    ///
    /// Set it to let engines authenticate with the keys that `ltm key` makes.
    pub api_keys_file: PathBuf,
    /// A file with the key that verifies JWTs: a public key in PEM, the secret for HS256 (at least 32 bytes), or a JSON
    /// Web Key Set (RFC 7517). A service reads it again when it changes. Empty: no such key.
    ///
    /// Set it if you sign JWTs yourself. Otherwise use `auth.jwks_url`; only one of the two can be set.
    pub jwt_key_file: PathBuf,
    /// The algorithm of the key in `auth.jwt_key_file`. A key set names its algorithms itself.
    ///
    /// Set it if `auth.jwt_key_file` holds a single key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_algorithm: Option<JwtAlgorithm>,
    /// The URL of a JSON Web Key Set: `https://…`, or `http://…` for a loopback address. Empty: none.
    ///
    /// Set it if an identity provider signs your JWTs.
    #[serde(serialize_with = "shown")]
    pub jwks_url: String,
    /// The age at which the key set is read again. Requests that a cached key can verify do not wait for that.
    ///
    /// Lower it if a withdrawn key must stop working sooner.
    #[serde(with = "duration")]
    pub jwks_max_age: Duration,
    /// The age at which the keys of the set are no longer used. Then a request waits for the key set and, if it cannot be
    /// read, gets 503. Until then, a service that cannot read the key set, or that nobody called, accepts a withdrawn key.
    /// If it is shorter than `auth.jwks_max_age` or `auth.jwks_pause`, the longest of them counts.
    ///
    /// Raise it if callers must get in while the identity provider is unavailable for longer. Lower it if a withdrawn
    /// key must stop working sooner.
    #[serde(with = "duration")]
    pub jwks_expiry: Duration,
    /// The shortest time between two requests for the key set, even if tokens name keys that it does not have.
    ///
    /// Raise it if the identity provider limits requests.
    #[serde(with = "duration")]
    pub jwks_pause: Duration,
    /// The longest wait for the key set.
    ///
    /// Raise it if the identity provider is slow.
    #[serde(with = "duration")]
    pub jwks_timeout: Duration,
    /// The value that `iss` of a JWT must have. Empty: any.
    ///
    /// Set it if your keys sign tokens of several issuers.
    pub issuer: String,
    /// The value that `aud` of a JWT must contain. It is required if JWTs are accepted, so that a token for another
    /// service is not valid here.
    ///
    /// Set it with `auth.jwt_key_file` or `auth.jwks_url`.
    pub audience: String,
    /// The tolerance for `exp` and `nbf` of a JWT, because clocks differ.
    ///
    /// Lower it if your clocks are synchronized well and tokens must expire on time.
    #[serde(with = "duration")]
    pub leeway: Duration,
    /// How far ahead `exp` of a JWT may be. A token whose `exp` is further ahead is not valid. 0: any time, because an
    /// issuer may have given out such tokens already.
    ///
    /// Set it to the lifetime of the tokens that your issuer signs, so that nobody can use a token that never expires.
    #[serde(with = "duration")]
    pub max_lifetime: Duration,
    /// The most credentials that are revoked at once. A further revocation gets 503 `over-limit`.
    ///
    /// Raise it if you revoke more. A revocation that ends (`until`) makes room again.
    pub max_revocations: usize,
}

/// Whether callers must authenticate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Not decided: a service starts only on a loopback address, and is open there.
    #[default]
    Unset,
    /// Every caller may do everything: a proxy authenticates callers, or nobody else can reach the service.
    Off,
    /// Every caller must present a credential.
    Required,
}

/// The algorithm of a signature. Each key is for one algorithm (RFC 8725 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256 and a shared secret.
    HS256,
    /// RSA with SHA-256.
    RS256,
    /// ECDSA with P-256.
    ES256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            mode: AuthMode::Unset,
            api_keys_file: PathBuf::new(),
            jwt_key_file: PathBuf::new(),
            jwt_algorithm: None,
            jwks_url: String::new(),
            jwks_max_age: Duration::from_secs(5 * 60),
            jwks_expiry: Duration::from_secs(60 * 60),
            jwks_pause: Duration::from_secs(10),
            jwks_timeout: Duration::from_secs(5),
            issuer: String::new(),
            audience: String::new(),
            leeway: Duration::from_secs(30),
            max_lifetime: Duration::ZERO,
            max_revocations: 10_000,
        }
    }
}

impl AuthSettings {
    /// Rejects values that contradict each other or are out of bounds.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        check_wait("auth.jwks_max_age", self.jwks_max_age)?;
        check_wait("auth.jwks_expiry", self.jwks_expiry)?;
        check_pause("auth.jwks_pause", self.jwks_pause)?;
        check_wait("auth.jwks_timeout", self.jwks_timeout)?;
        check_wait("auth.leeway", self.leeway)?;
        check_wait("auth.max_lifetime", self.max_lifetime)?;
        let has_keys = !self.jwt_key_file.as_os_str().is_empty();
        if self.mode != AuthMode::Required {
            return match self.keys().first() {
                None => Ok(()),
                Some(setting) => rejected(
                    "auth.mode",
                    &format!(
                        "{setting} names keys, but callers need no credential; set auth.mode to \"required\", or \
                         remove {setting}"
                    ),
                ),
            };
        }
        let takes_tokens = has_keys || !self.jwks_url.is_empty();
        if !takes_tokens && self.api_keys_file.as_os_str().is_empty() {
            return rejected(
                "auth.mode",
                "no caller could authenticate: set auth.api_keys_file, auth.jwt_key_file or auth.jwks_url",
            );
        }
        if has_keys && !self.jwks_url.is_empty() {
            return rejected(
                "auth.jwks_url",
                "auth.jwt_key_file is set, too; remove one of the two",
            );
        }
        if takes_tokens && self.audience.is_empty() {
            return rejected(
                "auth.audience",
                "set the value that `aud` of a JWT must contain, so that a token for another service is not valid here",
            );
        }
        if !self.jwks_url.is_empty() && !is_safe(&self.jwks_url) {
            return rejected(
                "auth.jwks_url",
                "use an https:// URL, or an http:// URL with a loopback address",
            );
        }
        Ok(())
    }

    /// The settings that name keys.
    fn keys(&self) -> Vec<&'static str> {
        let all = [
            (
                "auth.api_keys_file",
                self.api_keys_file.as_os_str().is_empty(),
            ),
            (
                "auth.jwt_key_file",
                self.jwt_key_file.as_os_str().is_empty(),
            ),
            ("auth.jwks_url", self.jwks_url.is_empty()),
        ];
        let named = all.into_iter().filter(|(_, is_empty)| !is_empty);
        named.map(|(setting, _)| setting).collect()
    }

    /// Whether callers of a service that listens on `listen` must authenticate.
    pub(crate) fn is_required(&self, listen: &str) -> Result<bool, SettingError> {
        match self.mode {
            AuthMode::Required => Ok(true),
            AuthMode::Off => Ok(false),
            AuthMode::Unset if is_loopback(listen) => Ok(false),
            AuthMode::Unset => rejected(
                "auth.mode",
                &format!(
                    "not set, but other machines can reach {listen}; set it to \"required\", with \
                     auth.api_keys_file, auth.jwt_key_file or auth.jwks_url, or to \"off\" if a proxy authenticates \
                     callers (docs/security.md)"
                ),
            ),
        }
    }
}

/// Serializes a URL without its secrets, because serialized settings are for people.
fn shown<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown_url(url))
}

fn rejected<T>(setting: &str, problem: &str) -> Result<T, SettingError> {
    Err(SettingError::new(setting, problem))
}

/// Whether only this machine can reach a service that listens on `listen`.
fn is_loopback(listen: &str) -> bool {
    let Ok(addresses) = listen.to_socket_addrs() else {
        return false;
    };
    let addresses: Vec<SocketAddr> = addresses.collect();
    !addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback())
}

/// Whether nobody between this machine and the URL can change the answer.
fn is_safe(url: &str) -> bool {
    if url.starts_with("https://") {
        return true;
    }
    let host = url.strip_prefix("http://").unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let host = if host.ends_with(']') || !host.contains(':') {
        format!("{host}:80")
    } else {
        host.to_owned()
    };
    !host.contains('@') && is_loopback(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_that_others_cannot_reach_is_open_by_default() {
        let settings = AuthSettings::default();
        for here in ["127.0.0.1:8000", "[::1]:8000", "localhost:0"] {
            assert!(!settings.is_required(here).unwrap(), "{here}");
        }
        for there in ["0.0.0.0:8000", "[::]:8000", "10.1.2.3:8000", "nonsense"] {
            let refused = settings.is_required(there).unwrap_err().to_string();
            assert!(refused.contains("LTM__AUTH__MODE"), "{refused}");
        }
    }

    #[test]
    fn keys_are_fetched_where_nobody_on_the_way_can_change_them() {
        for safe in [
            "https://id.example/keys",
            "http://127.0.0.1:80/keys",
            "http://[::1]/keys",
            "http://localhost/",
        ] {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_ in [
            "http://id.example/keys",
            "ftp://127.0.0.1/",
            "127.0.0.1",
            "http://127.0.0.1@id.example/",
            "",
        ] {
            assert!(!is_safe(unsafe_), "{unsafe_}");
        }
    }
}
