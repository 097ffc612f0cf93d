//! Where a request carries its credential.

use actix_web::{HttpMessage, http::header};
use ltm_auth::{AuthError, Credential};

/// The credential in the header `Authorization`.
///
/// # Errors
///
/// [`AuthError::NotBearer`] if the header has another form.
pub fn credential(request: &impl HttpMessage) -> Result<Credential<'_>, AuthError> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else {
        return Ok(Credential::None);
    };
    Credential::in_authorization(value.to_str().map_err(|_| AuthError::NotBearer)?)
}

/// The credential of a WebSocket handshake: as [`credential`], else a token as subprotocol, else a ticket in the query.
///
/// # Errors
///
/// As [`credential`].
pub fn handshake_credential<'a>(
    request: &'a impl HttpMessage,
    query: &'a str,
) -> Result<Credential<'a>, AuthError> {
    let in_header = credential(request)?;
    if in_header != Credential::None {
        return Ok(in_header);
    }
    let protocols = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let in_protocols = protocols
        .filter_map(|value| value.to_str().ok())
        .map(Credential::in_protocols)
        .find(|credential| *credential != Credential::None);
    Ok(in_protocols.unwrap_or_else(|| Credential::in_query(query)))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_first_credential_of_a_handshake_counts() {
        let with = |name: &'static str, value: &'static str| {
            TestRequest::default()
                .insert_header((name, value))
                .to_http_request()
        };
        let bearer = with("Authorization", "Bearer abc");
        let protocol = with("Sec-WebSocket-Protocol", "ltm.v0, bearer.abc");
        let plain = TestRequest::default().to_http_request();
        for (request, expected) in [
            (&bearer, Credential::Bearer("abc")),
            (&protocol, Credential::Bearer("abc")),
            (&plain, Credential::Ticket("x".into())),
        ] {
            assert_eq!(handshake_credential(request, "ticket=x").unwrap(), expected);
        }
        assert_eq!(credential(&protocol).unwrap(), Credential::None);
        assert!(credential(&with("Authorization", "Basic abc")).is_err());
    }
}
