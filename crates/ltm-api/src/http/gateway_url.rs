//! The URL of a gateway that is not at the API's own URL.

use actix_web::http::Uri;
use ltm_inspector::Gateway;
use ltm_settings::SettingError;

/// The gateway that `api.gateway_url` names; `None` if it is at the API's own URL.
///
/// # Errors
///
/// The setting is not a URL such as `http://127.0.0.1:8001`.
pub(crate) fn gateway_of(url: &str) -> Result<Option<Gateway>, SettingError> {
    if url.is_empty() {
        return Ok(None);
    }
    read(url).map(Some).ok_or_else(|| {
        let advice = "must be a URL such as http://127.0.0.1:8001, without a user or a query";
        SettingError::new("api.gateway_url", advice)
    })
}

fn read(url: &str) -> Option<Gateway> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
    let sockets = match scheme {
        "http" => "ws",
        "https" => "wss",
        _ => return None,
    };
    let path = uri.path().trim_end_matches('/');
    // The page and its policy contain the URL as it is.
    let is_plain = |text: &str, more: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || more.contains(letter);
        text.chars().all(plain)
    };
    let is_usable =
        uri.query().is_none() && is_plain(authority, "-._:[]") && is_plain(path, "-._~%/");
    is_usable.then(|| Gateway {
        url: format!("{scheme}://{authority}{path}/"),
        origin: format!("{scheme}://{authority}"),
        socket_origin: format!("{sockets}://{authority}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_named_by_its_url() {
        assert_eq!(gateway_of("").unwrap(), None);
        for url in ["http://[::1]:8001", "http://[::1]:8001/"] {
            let gateway = gateway_of(url).unwrap().unwrap();
            assert_eq!(gateway.url, "http://[::1]:8001/");
            assert_eq!(gateway.origin, "http://[::1]:8001");
            assert_eq!(gateway.socket_origin, "ws://[::1]:8001");
        }
        let gateway = gateway_of("https://live.example.com/ltm").unwrap().unwrap();
        assert_eq!(gateway.url, "https://live.example.com/ltm/");
        assert_eq!(gateway.socket_origin, "wss://live.example.com");
    }

    #[test]
    fn what_a_page_or_its_policy_would_read_as_more_is_no_url() {
        for url in [
            "127.0.0.1:8001",
            "ws://127.0.0.1:8001",
            "http://",
            "http://a?b",
            "http://user@a",
            "http://a;b",
            "http://a'b",
            "http://a/\"><script>",
            "http://a/b c",
        ] {
            assert!(gateway_of(url).is_err(), "{url}");
        }
    }
}
