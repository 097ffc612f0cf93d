//! What a caller shows.

use std::borrow::Cow;

use actix_web::{HttpMessage, http::header};

use super::AuthError;

/// The WebSocket subprotocol that a service answers with, where a client offers it beside its token: a script in a
/// browser can send a token no other way (RFC 6455 section 1.9).
pub const PROTOCOL: &str = "ltm.v0";
/// How the subprotocol begins that is a token.
const BEARER_PROTOCOL: &str = "bearer.";
/// The parameter of a query that holds a ticket.
const TICKET: &str = "ticket";

/// What a caller shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// A JWT or an API key.
    Bearer(&'a str),
    /// A ticket.
    Ticket(Cow<'a, str>),
}

impl<'a> Presented<'a> {
    /// What stands in `Authorization` (RFC 6750 section 2.1).
    ///
    /// # Errors
    ///
    /// [`AuthError::NotBearer`] where it is something else.
    pub fn in_header(request: &'a impl HttpMessage) -> Result<Self, AuthError> {
        let Some(value) = request.headers().get(header::AUTHORIZATION) else {
            return Ok(Self::Nothing);
        };
        let text = value.to_str().map_err(|_| AuthError::NotBearer)?;
        let (scheme, token) = text.split_once(' ').ok_or(AuthError::NotBearer)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(AuthError::NotBearer);
        }
        Ok(Self::Bearer(token))
    }

    /// The same for a WebSocket handshake, which may show it as a subprotocol, or a ticket in the query.
    ///
    /// # Errors
    ///
    /// As [`Presented::in_header`].
    pub fn in_handshake(request: &'a impl HttpMessage, query: &'a str) -> Result<Self, AuthError> {
        let shown = Self::in_header(request)?;
        if shown != Self::Nothing {
            return Ok(shown);
        }
        let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let mut offered = offered
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(',').map(str::trim));
        if let Some(token) = offered.find_map(|name| name.strip_prefix(BEARER_PROTOCOL)) {
            return Ok(Self::Bearer(token));
        }
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let ticket = parameters.find(|(name, _)| name == TICKET);
        Ok(ticket.map_or(Self::Nothing, |(_, ticket)| Self::Ticket(ticket)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_token_is_found_where_it_may_stand() {
        let with = |name: &'static str, value: &'static str| {
            TestRequest::default()
                .insert_header((name, value))
                .to_http_request()
        };
        let bearer = with("Authorization", "bEarer  abc.def ");
        assert_eq!(
            Presented::in_header(&bearer).unwrap(),
            Presented::Bearer("abc.def")
        );
        for wrong in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert!(
                Presented::in_header(&with("Authorization", wrong)).is_err(),
                "{wrong}"
            );
        }
        let offered = with("Sec-WebSocket-Protocol", "ltm.v0, bearer.abc.def");
        assert_eq!(
            Presented::in_handshake(&offered, "").unwrap(),
            Presented::Bearer("abc.def")
        );
        let plain = TestRequest::default().to_http_request();
        let ticket = Presented::in_handshake(&plain, "after=0&ticket=a%2Db").unwrap();
        assert_eq!(ticket, Presented::Ticket("a-b".into()));
        assert_eq!(
            Presented::in_handshake(&plain, "after=0").unwrap(),
            Presented::Nothing
        );
        // The stronger one counts.
        assert_eq!(
            Presented::in_handshake(&bearer, "ticket=x").unwrap(),
            Presented::Bearer("abc.def")
        );
    }
}
