//! The claims of a verified JWT.

use std::time::Duration;

use serde_json::Value;

use crate::{caller::Caller, credential_id::CredentialId, error::TokenError, grant::Grant};

/// The longest name of a caller that is kept, in characters.
const MAX_NAME: usize = 100;

/// When a token is valid. All in seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct TimeRules {
    /// The tolerance for `exp` and `nbf`.
    pub(crate) leeway: u64,
    /// How far ahead `exp` may be; 0: any time.
    pub(crate) max_lifetime: u64,
}

/// The caller that a token names: `sub`, and the grant of `ltm` and `can` (see [`Grant::read`]). The time `now` must be
/// before `exp` and not before `nbf`.
pub(crate) fn caller(
    claims: &Value,
    TimeRules {
        leeway,
        max_lifetime,
    }: TimeRules,
    now: Duration,
) -> Result<Caller, TokenError> {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let (sub, jti) = (text("sub"), text("jti"));
    let name = sub.as_deref().unwrap_or("a token without `sub`");
    let expires = seconds(&claims["exp"]).ok_or(TokenError::NotATime("exp"))?;
    if expires.saturating_add(leeway) <= now.as_secs() {
        return Err(TokenError::Expired);
    }
    let latest = now.as_secs().saturating_add(leeway);
    if max_lifetime > 0 && expires > latest.saturating_add(max_lifetime) {
        return Err(TokenError::LivesTooLong);
    }
    if let Some(begins) = claims.get("nbf") {
        let begins = seconds(begins).ok_or(TokenError::NotATime("nbf"))?;
        if begins > latest {
            return Err(TokenError::NotYetValid);
        }
    }
    let grant = Grant::read(&claims["ltm"], &claims["can"])?;
    Ok(Caller {
        name: name.chars().take(MAX_NAME).collect(),
        grant,
        credential: CredentialId::Jwt { sub, jti },
        expires: Some(expires.saturating_add(leeway)),
    })
}

/// A time in a token (RFC 7519 section 2, NumericDate). It may have a fraction.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        value
            .as_f64()
            .filter(|time| *time >= 0.0)
            .map(|time| time as u64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_good_until_it_expires_and_a_little() {
        let claims = json!({"sub": "me", "exp": 100, "ltm": "*", "can": "read"});
        let at = Duration::from_secs;
        let caller = |claims: &Value, leeway, now| {
            let rules = TimeRules {
                leeway,
                ..TimeRules::default()
            };
            caller(claims, rules, now)
        };
        let me = caller(&claims, 30, at(129)).unwrap();
        assert_eq!((me.name.as_str(), me.expires), ("me", Some(130)));
        assert_eq!(caller(&claims, 30, at(130)), Err(TokenError::Expired));
        let fraction: Value =
            serde_json::from_str(r#"{"exp": 100.75, "ltm": [1], "can": ["write"]}"#).unwrap();
        assert_eq!(caller(&fraction, 0, at(99)).unwrap().expires, Some(100));
        for wrong in [
            json!({"ltm": "*", "can": "read"}),
            json!({"exp": 100, "can": "read"}),
            json!({"exp": 100, "ltm": "*"}),
            json!({"exp": "100", "ltm": "*", "can": "read"}),
            json!({"exp": 100, "nbf": "0", "ltm": "*", "can": "read"}),
            json!({"exp": 100, "nbf": 51, "ltm": "*", "can": "read"}),
            json!({"exp": 50, "ltm": "*", "can": "read"}),
        ] {
            assert!(caller(&wrong, 0, at(50)).is_err(), "{wrong}");
        }
        let begun = json!({"exp": 100, "nbf": 51, "ltm": "*", "can": "read"});
        assert!(caller(&begun, 1, at(50)).is_ok());
    }

    #[test]
    fn a_token_does_not_live_longer_than_allowed() {
        let rules = TimeRules {
            leeway: 5,
            max_lifetime: 60,
        };
        let now = Duration::from_secs(100);
        for (exp, valid) in [
            ("165", true),
            ("165.9", true),
            ("166", false),
            ("1e300", false),
        ] {
            let claims = format!(r#"{{"exp": {exp}, "ltm": "*", "can": "read"}}"#);
            let claims: Value = serde_json::from_str(&claims).unwrap();
            assert_eq!(caller(&claims, rules, now).is_ok(), valid, "{exp}");
            assert!(caller(&claims, TimeRules::default(), now).is_ok(), "{exp}");
        }
    }
}
