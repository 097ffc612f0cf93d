//! The way to the services: directly, or through a proxy.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;

use crate::ServerUrl;

/// The way to the services. The variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment name
/// a proxy, as they do for curl. The client never asks a proxy for a server on its own machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    server: ServerUrl,
    /// The address of the proxy, without a password.
    proxy: Option<String>,
}

impl Route {
    /// The way to a server in this environment.
    pub(crate) fn to(server: ServerUrl) -> Self {
        let proxy = match server.is_loopback() {
            true => None,
            false => proxy_for(&server, &Matcher::from_env()),
        };
        Self { server, proxy }
    }

    /// The address of the proxy, without a password.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// The server.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }
}

/// The address of the proxy for this server.
fn proxy_for(server: &ServerUrl, proxies: &Matcher) -> Option<String> {
    let proxy = proxies.intercept(&server.to_string().parse().ok()?)?;
    let host = proxy.uri().authority()?.as_str();
    Some(format!("{}://{host}", proxy.uri().scheme_str()?))
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.server)?;
        match &self.proxy {
            Some(proxy) => write!(f, " through the proxy {proxy} of the environment"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let proxies = Matcher::builder()
            .http("http://user:secret@proxy.example:3128")
            .no("ltm.example")
            .build();
        let proxy = |server: &str| proxy_for(&server.parse().unwrap(), &proxies);
        let named = Some("http://proxy.example:3128".to_owned());
        assert_eq!(proxy("http://ltm.invalid"), named);
        assert_eq!(proxy("http://ltm.example/live"), None);
        assert_eq!(proxy("https://ltm.invalid"), None);
    }
}
