//! Credentials: what a caller presents.

use std::borrow::Cow;

use crate::error::AuthError;

/// The WebSocket subprotocol that a service answers with, if a client offers it beside its token. A script in a browser
/// can send a token in no other way (RFC 6455 section 1.9).
pub const PROTOCOL: &str = "ltm.v0";
/// The prefix of a subprotocol that carries a token.
const BEARER_PROTOCOL: &str = "bearer.";
/// The query parameter that holds a ticket.
const TICKET: &str = "ticket";

/// What a caller presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Nothing.
    None,
    /// A JWT or an API key.
    Bearer(&'a str),
    /// A ticket.
    Ticket(Cow<'a, str>),
}

impl<'a> Credential<'a> {
    /// The credential in the value of the header `Authorization` (RFC 6750 section 2.1).
    ///
    /// # Errors
    ///
    /// [`AuthError::NotBearer`] if the header has another form.
    pub fn in_authorization(value: &'a str) -> Result<Self, AuthError> {
        let (scheme, token) = value.split_once(' ').ok_or(AuthError::NotBearer)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(AuthError::NotBearer);
        }
        Ok(Self::Bearer(token))
    }

    /// The credential in a value of the header `Sec-WebSocket-Protocol`.
    pub fn in_protocols(value: &'a str) -> Self {
        let mut names = value.split(',').map(str::trim);
        let token = names.find_map(|name| name.strip_prefix(BEARER_PROTOCOL));
        token.map_or(Self::None, Self::Bearer)
    }

    /// The credential in a query string.
    pub fn in_query(query: &'a str) -> Self {
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let ticket = parameters.find(|(name, _)| name == TICKET);
        ticket.map_or(Self::None, |(_, ticket)| Self::Ticket(ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_each_place() {
        assert_eq!(
            Credential::in_authorization("bEarer  abc.def ").unwrap(),
            Credential::Bearer("abc.def")
        );
        for wrong in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert!(Credential::in_authorization(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            Credential::in_protocols("ltm.v0, bearer.abc.def"),
            Credential::Bearer("abc.def")
        );
        assert_eq!(Credential::in_protocols("ltm.v0"), Credential::None);
        assert_eq!(
            Credential::in_query("after=0&ticket=a%2Db"),
            Credential::Ticket("a-b".into())
        );
        assert_eq!(Credential::in_query("after=0"), Credential::None);
    }
}
