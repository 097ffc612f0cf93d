//! Requests to the services.

use std::{sync::Arc, time::Duration};

use ltm_types::{Cursor, LtmRef, Problem};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    redirect::Policy,
};

use crate::{Error, Options, RawAnswer, Route, ServerUrl, token::Tokens};

/// The most characters of a foreign answer that an error shows.
const SHOWN_ANSWER: usize = 200;

/// Sends requests to the services at one address. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Http(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    route: Route,
    tokens: Tokens,
    options: Options,
}

impl Http {
    pub(crate) fn new(
        agent: &str,
        server: ServerUrl,
        tokens: Tokens,
        options: Options,
    ) -> Result<Self, Error> {
        let configured = || {
            let client = reqwest::Client::builder()
                .user_agent(agent)
                // A write would go on as a GET, whose answer looks as if the write had landed.
                .redirect(Policy::none())
                // A WebSocket begins as a request of HTTP/1.1.
                .http1_only()
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.answer_timeout);
            match server.is_loopback() {
                true => client.no_proxy(),
                false => client,
            }
        };
        let client = match configured().build() {
            // A bare system has no CA certificates. Without TLS, none are needed.
            Err(_) if !server.is_encrypted() => configured().tls_certs_only([]).build(),
            built => built,
        };
        Ok(Self(Arc::new(Inner {
            client: client.map_err(Error::Setup)?,
            route: Route::to(server),
            tokens,
            options,
        })))
    }

    pub(crate) fn server(&self) -> &ServerUrl {
        self.route().server()
    }

    pub(crate) fn route(&self) -> &Route {
        &self.0.route
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    /// A request to a path below `/api/v0/ltm`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.0.client.request(method, self.server().api(path))
    }

    /// A request to `/api/v0/revocations`.
    pub(crate) fn revocations(&self, method: Method) -> RequestBuilder {
        self.0.client.request(method, self.server().revocations())
    }

    /// A `GET` of a URL.
    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.0.client.get(url)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<(RawAnswer, HeaderMap), Error> {
        let response = self.call(request, |status| status.is_success()).await?;
        let headers = response.headers().clone();
        let text = String::from_utf8(self.read(response).await?);
        let text = text.map_err(|e| Error::unreadable(self.server(), e))?;
        let server = self.server().clone();
        Ok((RawAnswer { text, server }, headers))
    }

    /// Sends a request, with the token as of now. An answer with another status than expected becomes an error.
    pub(crate) async fn call(
        &self,
        request: RequestBuilder,
        expected: impl Fn(StatusCode) -> bool,
    ) -> Result<Response, Error> {
        let request = match self.tokens().current().await? {
            Some(token) => request.header(AUTHORIZATION, token.header()),
            None => request,
        };
        let response = request.send().await;
        let response = response.map_err(|e| Error::transport(self.route(), &e))?;
        let status = response.status();
        if expected(status) {
            return Ok(response);
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        let text = match response.headers().get(LOCATION) {
            Some(to) if status.is_redirection() => redirection(to),
            _ => String::from_utf8_lossy(&self.read(response).await?).into_owned(),
        };
        Err(refusal(self.server(), status.as_u16(), &text, retry_after))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let failed = |e: reqwest::Error| Error::transport(self.route(), &e);
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            let limit = self.options().max_answer;
            if bytes.len() + part.len() > limit {
                let detail = format!("the answer has more than {limit} bytes");
                return Err(Error::unreadable(self.server(), detail));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}

/// The path of a call about an LTM, below `/api/v0/ltm`.
pub(crate) fn path(ltm: impl Into<LtmRef>, call: &str) -> String {
    format!("/{}{call}", ltm.into().to_path())
}

/// A cursor as an entity tag.
pub(crate) fn quoted(cursor: Cursor) -> String {
    format!("\"{cursor}\"")
}

/// The seconds in a header.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// What to say of a redirect to an address.
fn redirection(to: &HeaderValue) -> String {
    format!("use the address {}", String::from_utf8_lossy(to.as_bytes()))
}

/// The error for an answer with an unexpected status.
fn refusal(server: &ServerUrl, status: u16, text: &str, retry_after: Option<Duration>) -> Error {
    match serde_json::from_str::<Problem>(text) {
        Ok(problem) => Error::Problem {
            problem: Box::new(problem),
            retry_after,
        },
        Err(_) => Error::Answer {
            server: server.clone(),
            status,
            text: text.chars().take(SHOWN_ANSWER).collect(),
            retry_after,
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers one request with a redirect.
    async fn redirect(listener: TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://ltm.example/\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn a_call_that_is_redirected_fails_and_names_the_other_address() {
        for method in [Method::POST, Method::GET] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let server = tokio::spawn(redirect(listener));
            let (server_url, options) = (url.parse().unwrap(), Options::default());
            let http = Http::new("tests", server_url, Tokens::None, options).unwrap();
            let error = http.send(http.request(method, "/1/snapshots")).await;
            let error = error.err().unwrap();
            assert!(matches!(error, Error::Answer { status: 301, .. }));
            assert!(
                error.to_string().contains("https://ltm.example/"),
                "{error}"
            );
            assert!(!error.is_temporary());
            server.await.unwrap();
        }
    }

    #[test]
    fn an_error_shows_the_beginning_of_a_foreign_answer() {
        let server = "http://localhost:1".parse().unwrap();
        let error = refusal(&server, 502, &"<html>".repeat(100), None);
        assert!(error.is_temporary() && error.to_string().len() < 400);
    }
}
