//! Revoked credentials.

use reqwest::Method;
use serde_json::json;

use crate::{Client, Error, RawAnswer};

/// A credential that can be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocable {
    /// The JWT with this `jti`.
    Jti(String),
    /// All JWTs with this `sub`.
    Sub(String),
    /// The API keys of this name.
    ApiKey(String),
}

impl Revocable {
    /// The member and its text, as a request has them.
    fn member(&self) -> (&'static str, &str) {
        match self {
            Self::Jti(text) => ("jti", text),
            Self::Sub(text) => ("sub", text),
            Self::ApiKey(text) => ("api_key", text),
        }
    }
}

impl Client {
    /// Revokes a credential, until a time in seconds since 1970 or for ever: its calls, sockets and streams end.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn revoke(
        &self,
        credential: &Revocable,
        until: Option<u64>,
    ) -> Result<RawAnswer, Error> {
        let (name, text) = credential.member();
        let mut body = json!({name: text});
        if let Some(until) = until {
            body["until"] = until.into();
        }
        let request = self.http().revocations(Method::POST).json(&body);
        Ok(self.http().send(request).await?.0)
    }

    /// Makes a revoked credential valid again.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn lift_revocation(&self, credential: &Revocable) -> Result<RawAnswer, Error> {
        let request = self.http().revocations(Method::DELETE);
        let request = request.query(&[credential.member()]);
        Ok(self.http().send(request).await?.0)
    }

    /// The revoked credentials.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn revocations(&self) -> Result<RawAnswer, Error> {
        let request = self.http().revocations(Method::GET);
        Ok(self.http().send(request).await?.0)
    }
}
