//! The hosts under which clients address the service.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// Host names such as `ltm.example.com`, or `*` for every name. Reads a list, or text with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HostNames(Vec<String>);

impl<'de> Deserialize<'de> for HostNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = |text: String| match Authority::parse(&text) {
            Some(Authority {
                host: Host::Name(name),
                port: None,
            }) if !name.contains('/') => Ok(name.to_ascii_lowercase()),
            _ => Err(D::Error::custom(format!(
                "{text:?} is not a host name such as ltm.example.com"
            ))),
        };
        let list = ltm_settings::list(deserializer)?;
        list.into_iter()
            .map(name)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl HostNames {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether clients may address the service as `authority`. A name on the internet can lead to any address, so a page of a
    /// stranger can be of the same origin as the service (DNS rebinding). An address and `localhost` belong to no
    /// stranger.
    pub(super) fn allow(&self, authority: &str) -> bool {
        if self.0.iter().any(|known| known == "*") {
            return true;
        }
        match Authority::parse(authority).map(|it| it.host) {
            Some(Host::Address(_)) => true,
            Some(Host::Name(name)) => {
                let same = |known: &str| known.eq_ignore_ascii_case(name);
                same(LOCALHOST) || self.0.iter().any(|known| same(known))
            }
            None => false,
        }
    }
}

const LOCALHOST: &str = "localhost";

/// A host and its port, as in the header `Host`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    host: Host<'a>,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl<'a> Authority<'a> {
    /// The host and port of `localhost:8000`, `[::1]` and the like.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(text) => {
                let (address, rest) = text.split_once(']')?;
                let address = IpAddr::from(address.parse::<Ipv6Addr>().ok()?);
                (Host::Address(address.to_canonical()), rest)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                let name = name.strip_suffix('.').unwrap_or(name);
                let host = name.parse().map_or(Host::Name(name), Host::Address);
                (host, rest)
            }
        };
        if matches!(host, Host::Name("")) {
            return None;
        }
        let port = match rest {
            "" | ":" => None,
            _ => Some(rest.strip_prefix(':')?.parse().ok()?),
        };
        Some(Self { host, port })
    }

    /// The host and port of an origin: `https://app.example.com`.
    pub(super) fn of_origin(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let default = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let mut authority = Self::parse(authority)?;
        authority.port.get_or_insert(default);
        Some(authority)
    }

    /// Whether it is the machine of the client itself.
    pub(super) fn is_loopback(self) -> bool {
        match self.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => name.eq_ignore_ascii_case(LOCALHOST),
        }
    }

    /// Whether a page of this origin was served under `host`. Some proxies remove the port from `Host`, so a host without
    /// a port is the same on every port. A proxy may speak TLS for the service, so the scheme does not count.
    pub(super) fn is_served_under(self, host: Self) -> bool {
        let same_host = match (self.host, host.host) {
            (Host::Address(one), Host::Address(other)) => one == other,
            (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        };
        same_host && (host.port.is_none() || host.port == self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<HostNames, serde_json::Error> {
        serde_json::from_value(text.into())
    }

    #[test]
    fn a_host_is_an_address_or_localhost_or_a_named_one() {
        let none = HostNames::default();
        for host in [
            "127.0.0.1:8000",
            "10.1.2.3",
            "[::1]:8000",
            "[2001:db8::1]",
            "localhost",
            "LocalHost.:80",
        ] {
            assert!(none.allow(host), "{host}");
        }
        let named = names("ltm.example.com, Other.example").unwrap();
        for host in ["ltm.example.com", "LTM.example.com.:443", "other.example:1"] {
            assert!(named.allow(host) && !none.allow(host), "{host}");
        }
        for host in [
            "evil.example",
            "ltm.example.com.evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@localhost",
            "localhost:8000:1",
            "[::1]evil.example",
            "[evil.example]",
            "",
            ":80",
        ] {
            assert!(!named.allow(host), "{host}");
        }
        assert!(names("*").unwrap().allow("evil.example"));
        for wrong in ["http://a.example", "a.example:80", "10.1.2.3", "a/b"] {
            let error = names(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_page_is_of_the_host_that_served_it() {
        for (origin, host, same) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8000", true),
            ("http://ltm.example", "ltm.example", true),
            ("https://ltm.example", "LTM.example:443", true),
            // TLS ends before the service.
            ("https://ltm.example", "ltm.example", true),
            // The proxy removed the port.
            ("https://ltm.example:8443", "ltm.example", true),
            ("http://[::1]:8000", "[::1]:8000", true),
            ("http://ltm.example", "ltm.example:8000", false),
            ("http://ltm.example:8001", "ltm.example:8000", false),
            ("https://ltm.example.evil", "ltm.example", false),
            ("http://localhost:8000", "127.0.0.1:8000", false),
        ] {
            let page = Authority::of_origin(origin).unwrap();
            let host = Authority::parse(host).unwrap();
            assert_eq!(page.is_served_under(host), same, "{origin} {host:?}");
        }
        for other in ["null", "", "file://", "chrome-extension://abc", "localhost"] {
            assert!(Authority::of_origin(other).is_none(), "{other}");
        }
    }
}
