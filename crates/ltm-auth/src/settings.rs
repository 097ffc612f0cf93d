//! The section `auth` of the settings.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use ltm_settings::{SettingError, check_pause, check_wait, duration};
use serde::{Deserialize, Serialize};

/// Who may use the services: the section `auth` of the settings. A path or URL that is empty is not set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Whether callers have to say who they are.
    pub mode: AuthMode,
    /// The API keys: a TOML file, read again when it changes.
    pub api_keys_file: PathBuf,
    /// What JWTs are signed with: a public key as PEM, the secret of HS256, or a JSON Web Key Set (RFC 7517).
    /// Read again when it changes.
    pub jwt_key_file: PathBuf,
    /// How JWTs are signed, where `jwt_key_file` is a single key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_algorithm: Option<JwtAlgorithm>,
    /// Where a JSON Web Key Set is served.
    pub jwks_url: String,
    /// After how long the set is asked for again.
    #[serde(with = "duration")]
    pub jwks_max_age: Duration,
    /// How long to wait at least between two times that it is asked for: tokens may name keys that are not in it.
    #[serde(with = "duration")]
    pub jwks_pause: Duration,
    /// The longest wait for it.
    #[serde(with = "duration")]
    pub jwks_timeout: Duration,
    /// What `iss` of a JWT must be, where this is set.
    pub issuer: String,
    /// What `aud` of a JWT must hold.
    pub audience: String,
    /// By how much clocks may differ.
    #[serde(with = "duration")]
    pub leeway: Duration,
}

/// Whether callers have to say who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Nobody has said: only a service that listens on this machine alone starts, and is open.
    #[default]
    Unset,
    /// They do not: something in front of the service sees to it, or nobody else can reach it.
    Off,
    /// They do.
    Required,
}

/// How JWTs may be signed. Each key is for one of these (RFC 8725 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JwtAlgorithm {
    /// A secret that both sides know.
    HS256,
    /// RSA.
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
            jwks_pause: Duration::from_secs(10),
            jwks_timeout: Duration::from_secs(5),
            issuer: String::new(),
            audience: String::new(),
            leeway: Duration::from_secs(30),
        }
    }
}

impl AuthSettings {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        check_wait("auth.jwks_max_age", self.jwks_max_age)?;
        check_pause("auth.jwks_pause", self.jwks_pause)?;
        check_wait("auth.jwks_timeout", self.jwks_timeout)?;
        check_wait("auth.leeway", self.leeway)?;
        if self.mode != AuthMode::Required {
            return Ok(());
        }
        let has_keys = !self.jwt_key_file.as_os_str().is_empty();
        let takes_tokens = has_keys || !self.jwks_url.is_empty();
        if !takes_tokens && self.api_keys_file.as_os_str().is_empty() {
            return refused(
                "auth.mode",
                "nobody could call: set auth.api_keys_file, auth.jwt_key_file or auth.jwks_url",
            );
        }
        if has_keys && !self.jwks_url.is_empty() {
            return refused("auth.jwks_url", "leave it out, or auth.jwt_key_file");
        }
        if takes_tokens && self.audience.is_empty() {
            return refused(
                "auth.audience",
                "say what `aud` of a JWT must be, so that a token for another service is none for this one",
            );
        }
        if !self.jwks_url.is_empty() && !is_safe(&self.jwks_url) {
            return refused(
                "auth.jwks_url",
                "it must begin with https://, or with http:// and be on this machine",
            );
        }
        Ok(())
    }

    /// Whether callers have to say who they are, at a service that listens there.
    pub(crate) fn is_required(&self, listen: &str) -> Result<bool, SettingError> {
        match self.mode {
            AuthMode::Required => Ok(true),
            AuthMode::Off => Ok(false),
            AuthMode::Unset if is_loopback(listen) => Ok(false),
            AuthMode::Unset => refused(
                "auth.mode",
                &format!(
                    "is not set, and others can reach {listen}. Set it to \"required\" and give \
                     auth.api_keys_file, auth.jwt_key_file or auth.jwks_url; or to \"off\" where something in front \
                     lets nobody through who may not. docs/security.md says more"
                ),
            ),
        }
    }
}

fn refused<T>(key: &str, detail: &str) -> Result<T, SettingError> {
    Err(SettingError::new(key, detail))
}

/// Whether only this machine can reach a service that listens there.
fn is_loopback(listen: &str) -> bool {
    let Ok(addresses) = listen.to_socket_addrs() else {
        return false;
    };
    let addresses: Vec<SocketAddr> = addresses.collect();
    !addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback())
}

/// Whether nobody on the way can change what is read there.
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
