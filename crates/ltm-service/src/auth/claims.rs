//! What a JWT says, once it is proved.

use std::time::Duration;

use serde_json::Value;

use super::{Caller, Grant};

/// The longest name of a caller that is kept, in characters.
const MAX_NAME: usize = 100;

/// Who a token is for: `sub`, and what [`Grant::read`] makes of `ltm` and `can`, where `now` is before `exp` and not
/// before `nbf`, but for `leeway` seconds.
pub(super) fn caller(claims: &Value, leeway: u64, now: Duration) -> Result<Caller, String> {
    let name = claims["sub"].as_str().unwrap_or("a token without `sub`");
    let expires = seconds(&claims["exp"]).ok_or("`exp` must be a number of seconds")?;
    if expires.saturating_add(leeway) <= now.as_secs() {
        return Err("it has expired".into());
    }
    if let Some(begins) = claims.get("nbf") {
        let begins = seconds(begins).ok_or("`nbf` must be a number of seconds")?;
        if begins > now.as_secs().saturating_add(leeway) {
            return Err("it is not valid yet (`nbf`)".into());
        }
    }
    let grant = Grant::read(&claims["ltm"], &claims["can"])?;
    Ok(Caller {
        name: name.chars().take(MAX_NAME).collect(),
        grant,
        expires: Some(expires.saturating_add(leeway)),
    })
}

/// A time as tokens tell it (RFC 7519 section 2, NumericDate), which may have a fraction.
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
        let me = caller(&claims, 30, at(129)).unwrap();
        assert_eq!((me.name.as_str(), me.expires), ("me", Some(130)));
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
}
