//! The address of the services.

use std::{fmt, str::FromStr};

use ltm_types::LtmRef;
use reqwest::Url;
use url::Host;

/// The base URL of the API and the gateway: `http://host:port` or `https://host`, with a path if a proxy adds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; give a URL such as {1}")]
pub struct ServerUrlError(String, String);

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let wrong = |what| ServerUrlError(what, "http://127.0.0.1:8000".into());
        // `localhost:8000` is a URL, too: its scheme is `localhost`.
        if !text.is_empty() && !text.contains("://") {
            let right = format!("http://{text}");
            return Err(ServerUrlError(
                "it does not begin with http:// or https://".into(),
                right,
            ));
        }
        let mut url = Url::parse(text).map_err(|e| wrong(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("{}:// is not supported", url.scheme())));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("a query or a fragment is not allowed".into()));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl ServerUrl {
    /// The URL of a path below `/api/v0/ltm`.
    pub(crate) fn api(&self, path: &str) -> Url {
        self.below(&format!("/api/v0/ltm{path}"))
    }

    /// The URL of the revoked credentials.
    pub(crate) fn revocations(&self) -> Url {
        self.below("/api/v0/revocations")
    }

    /// The URL of the metrics.
    pub(crate) fn metrics(&self) -> Url {
        self.below("/metrics")
    }

    /// The URL of an LTM's WebSocket, as the request of the handshake names it.
    pub(crate) fn socket(&self, ltm: &LtmRef) -> Url {
        self.below(&format!("/ws/{}", ltm.to_path()))
    }

    /// The URL of an LTM's Server-Sent Events.
    pub(crate) fn events(&self, ltm: &LtmRef) -> Url {
        self.below(&format!("/sse/{}", ltm.to_path()))
    }

    /// Whether requests go over TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the server is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    fn below(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_this_machine_is_told_from_others() {
        let is_loopback = |text: &str| text.parse::<ServerUrl>().unwrap().is_loopback();
        for text in [
            "http://localhost:1",
            "http://a.localhost",
            "http://127.3.2.1",
            "http://[::1]:8000",
        ] {
            assert!(is_loopback(text), "{text}");
        }
        for text in [
            "http://localhost.example",
            "http://10.0.0.1",
            "http://[::2]",
        ] {
            assert!(!is_loopback(text), "{text}");
        }
    }

    #[test]
    fn an_address_without_a_scheme_gets_one_in_the_advice() {
        for text in ["localhost:8000", "127.0.0.1:8000"] {
            let wrong = text.parse::<ServerUrl>().unwrap_err().to_string();
            let advice = format!("give a URL such as http://{text}");
            assert!(wrong.ends_with(&advice), "{wrong}");
        }
    }

    #[test]
    fn paths_come_after_the_base() {
        let id: LtmRef = "42".parse().unwrap();
        let key: LtmRef = "app.Agent/thread/7 %2F".parse().unwrap();
        for (text, shown) in [
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://localhost:8000/", "http://localhost:8000"),
            ("http://[::1]:80/live/", "http://[::1]/live"),
            ("https://ltm.example:443", "https://ltm.example"),
        ] {
            let url: ServerUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(
                url.api("/42").as_str(),
                format!("{shown}/api/v0/ltm/42"),
                "{text}"
            );
            assert_eq!(url.socket(&id).as_str(), format!("{shown}/ws/42"));
            let by_key = format!("{shown}/sse/by-key/app.Agent/thread%2F7%20%252F");
            assert_eq!(url.events(&key).as_str(), by_key);
        }
    }
}
