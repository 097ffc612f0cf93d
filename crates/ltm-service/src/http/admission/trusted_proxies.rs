//! The proxies whose word about their clients counts, and the client behind them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::http::header::{self, HeaderMap};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The proxies whose header `X-Forwarded-For` names the client: addresses and networks such as `10.0.0.0/8`. Reads a list,
/// or text with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TrustedProxies(Vec<IpNet>);

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let network = |text: String| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_| text.parse()).map_err(|_| {
                D::Error::custom(format!(
                    "{text:?} is neither an address nor a network such as 10.0.0.0/8"
                ))
            })
        };
        let networks = ltm_settings::list(deserializer)?;
        networks
            .into_iter()
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl TrustedProxies {
    /// Whether this is the address of a trusted proxy.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client that sent a request: the peer or, if the peer is a trusted proxy, the last hop before the trusted
    /// proxies. `None` if a trusted proxy sent the request itself. If the last hop is no address, the request counts for the
    /// proxy.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.trust(peer) {
            return Some(peer);
        }
        let lines: Vec<&str> = headers
            .get_all(header::X_FORWARDED_FOR)
            .map(|line| line.to_str().unwrap_or_default())
            .collect();
        let mut client = (!lines.is_empty()).then_some(peer);
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // No trusted proxy wrote what is before a malformed hop.
            let Some(address) = hop_address(hop.trim()) else {
                break;
            };
            client = Some(address);
            if !self.trust(address) {
                break;
            }
        }
        client
    }
}

/// An address in the header. Some proxies write it with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let with_port = || hop.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok()
}

/// What counts as one client: an IPv4 address, or an IPv6 /64 network, because a host usually has one to itself.
pub(crate) fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn proxies(text: &str) -> Result<TrustedProxies, serde_json::Error> {
        serde_json::from_value(text.into())
    }

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            let value = HeaderValue::from_str(line).unwrap();
            headers.append(header::X_FORWARDED_FOR, value);
        }
        let client = proxies(trusted)
            .unwrap()
            .client(peer.parse().unwrap(), &headers);
        client.map(|address| address.to_string())
    }

    #[test]
    fn nobody_is_believed_who_is_not_named() {
        let spoofed = ["203.0.113.9"];
        assert_eq!(
            client("", "198.51.100.1", &spoofed).unwrap(),
            "198.51.100.1"
        );
        let other = client("10.0.0.0/8", "198.51.100.1", &spoofed);
        assert_eq!(other.unwrap(), "198.51.100.1");
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_not_trusted() {
        let trusted = "10.0.0.0/8, 192.0.2.7";
        for (forwarded, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            (
                &["1.1.1.1, 203.0.113.9, 192.0.2.7", "10.9.9.9"],
                "203.0.113.9",
            ),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            // All hops are trusted: the first one is the nearest to the client.
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (&["1.1.1.1, unknown, 10.2.2.2"], "10.2.2.2"),
        ] {
            let seen = client(trusted, "::ffff:10.0.0.1", forwarded);
            assert_eq!(seen.as_deref(), Some(expected), "{forwarded:?}");
        }
        assert_eq!(client(trusted, "10.0.0.1", &[]), None);
        for no_address in ["unknown", "_hidden", "", "1.1.1.1, unknown"] {
            let counted = client(trusted, "10.0.0.1", &[no_address]);
            assert_eq!(counted.as_deref(), Some("10.0.0.1"), "{no_address}");
        }
    }

    #[test]
    fn a_network_that_cannot_be_read_is_named() {
        let error = proxies("10.0.0.0/8,10.0.0.0/33").unwrap_err().to_string();
        assert!(error.contains("10.0.0.0/33"), "{error}");
        let list: TrustedProxies = serde_json::from_str(r#"["10.0.0.0/8", "::1"]"#).unwrap();
        assert_eq!(list, proxies("10.0.0.0/8, ::1").unwrap());
    }

    #[test]
    fn a_host_is_one_client_whatever_addresses_of_its_network_it_takes() {
        let key = |text: &str| client_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }
}
