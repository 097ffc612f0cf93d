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
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    if host.starts_with('[') {
        // The policy of a page cannot name one (CSP, host-source).
        let advice = "an IPv6 address needs a host name";
        return Err(SettingError::new("api.gateway_url", advice));
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
        uri.query().is_none() && is_plain(authority, "-._:") && is_plain(path, "-._~%/");
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
        for url in ["http://127.0.0.1:8001", "http://127.0.0.1:8001/"] {
            let gateway = gateway_of(url).unwrap().unwrap();
            assert_eq!(gateway.url, "http://127.0.0.1:8001/");
            assert_eq!(gateway.origin, "http://127.0.0.1:8001");
            assert_eq!(gateway.socket_origin, "ws://127.0.0.1:8001");
        }
        let gateway = gateway_of("https://live.example.com/ltm").unwrap().unwrap();
        assert_eq!(gateway.url, "https://live.example.com/ltm/");
        assert_eq!(gateway.socket_origin, "wss://live.example.com");
    }

    #[test]
    fn an_ipv6_address_needs_a_host_name_because_a_policy_cannot_name_it() {
        for url in ["http://[::1]:8001", "https://[2001:db8::1]/ltm"] {
            let error = gateway_of(url).unwrap_err().to_string();
            assert!(
                error.contains("an IPv6 address needs a host name"),
                "{error}"
            );
        }
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
