//! The client of the services.

use std::{sync::Arc, time::Duration};

use ltm_types::{Cursor, LtmId, Problem};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, IF_MATCH, LINK, RETRY_AFTER},
};
use serde::de::DeserializeOwned;

use crate::{
    Answer, Copied, Error, Follow, Options, Page, Producer, RawAnswer, ServerUrl, Start, StateAt,
    Token, Views,
    token::{TokenResult, Tokens},
};

/// The most characters of a foreign answer that an error shows.
const SHOWN_ANSWER: usize = 200;

/// A client of the services at one address. Clones are cheap and share the connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    server: ServerUrl,
    tokens: Tokens,
    options: Options,
}

/// Builds a client with a token, or with other options than the defaults.
pub struct Builder {
    server: ServerUrl,
    tokens: Tokens,
    options: Options,
    agent: String,
}

impl Builder {
    /// Sends this token with every request.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.tokens = Tokens::One(token);
        self
    }

    /// Calls `source` for a token before each connection and each attempt of a request, so that a rejected or expired
    /// token is replaced. If a token is expensive to get, cache it in `source`.
    #[must_use]
    pub fn tokens<F>(mut self, source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = TokenResult> + Send + 'static,
    {
        self.tokens = Tokens::Source(Arc::new(move || Box::pin(source())));
        self
    }

    /// Uses these options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sends this name of your program as `User-Agent`.
    #[must_use]
    pub fn agent(mut self, agent: &str) -> Self {
        agent.clone_into(&mut self.agent);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] if the HTTP client cannot be created.
    pub fn build(self) -> Result<Client, Error> {
        let http = reqwest::Client::builder()
            .user_agent(self.agent)
            // A WebSocket begins as a request of HTTP/1.1.
            .http1_only()
            .connect_timeout(self.options.connect_timeout)
            .read_timeout(self.options.answer_timeout)
            .build()
            .map_err(Error::Setup)?;
        let inner = Arc::new(Inner {
            http,
            server: self.server,
            tokens: self.tokens,
            options: self.options,
        });
        Ok(Client { inner })
    }
}

impl Client {
    /// A client of the services at a URL such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] if `url` is not one; see also [`Builder::build`].
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::builder(url.parse()?).build()
    }

    /// Builds a client with a token or other options.
    pub fn builder(server: ServerUrl) -> Builder {
        Builder {
            server,
            tokens: Tokens::None,
            options: Options::default(),
            agent: concat!("ltm-client/", env!("CARGO_PKG_VERSION")).into(),
        }
    }

    /// The address of the services.
    pub fn server(&self) -> &ServerUrl {
        &self.inner.server
    }

    /// The options of the client.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// Follows an LTM: its messages one by one, over any number of connections.
    pub fn follow(&self, id: LtmId, start: Start) -> Follow {
        Follow::new(self.clone(), id, start)
    }

    /// Follows an LTM: each message, and the state after it.
    pub fn views(&self, id: LtmId) -> Views {
        Views::new(self.clone(), id)
    }

    /// A producer, which writes LTMs.
    pub fn producer(&self) -> Producer {
        Producer::new(self.clone())
    }

    /// The document of an LTM; `rollbacks` adds the snapshots that rollbacks took out.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn document(&self, id: LtmId, rollbacks: bool) -> Result<RawAnswer, Error> {
        let request = self.request(Method::GET, &format!("/{id}"));
        let (body, _) = self
            .send(request.query(&[("rollbacks", rollbacks)]))
            .await?;
        Ok(body)
    }

    /// A page of the list of LTMs, newest first: only of the class `fqn`, and only before the LTM `before`, if given.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn list(
        &self,
        playground: bool,
        fqn: Option<&str>,
        limit: usize,
        before: Option<LtmId>,
    ) -> Result<Page, Error> {
        let request = self
            .request(Method::GET, "")
            .query(&[("playground", playground)])
            .query(&[("fqn", fqn)])
            .query(&[("limit", limit)])
            .query(&[("before", before)]);
        let (rows, headers) = self.send(request).await?;
        let link = headers.get(LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| self.next_page(link));
        Ok(Page { rows, next })
    }

    /// The current state of an LTM, or the state after a snapshot, also after one that a rollback took out.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn state(
        &self,
        id: LtmId,
        index: Option<u64>,
        rollback: Option<u64>,
    ) -> Result<Answer<StateAt>, Error> {
        let request = self.request(Method::GET, &format!("/{id}/state"));
        let request = request.query(&[("index", index), ("rollback", rollback)]);
        answer(self.send(request).await?.0)
    }

    /// Copies an LTM. The client never retries: a second request would make a second copy.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn copy(&self, id: LtmId) -> Result<Answer<Copied>, Error> {
        let request = self.request(Method::POST, &format!("/{id}/copy"));
        answer(self.send(request).await?.0)
    }

    /// Deletes an LTM; with `if_match` only if it is at that cursor.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn delete(&self, id: LtmId, if_match: Option<Cursor>) -> Result<RawAnswer, Error> {
        let mut request = self.request(Method::DELETE, &format!("/{id}"));
        if let Some(cursor) = if_match {
            request = request.header(IF_MATCH, quoted(cursor));
        }
        Ok(self.send(request).await?.0)
    }

    /// A request to a path below `/api/v0/ltm`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.inner.http.request(method, self.server().api(path))
    }

    /// A `GET` of a URL.
    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.inner.http.get(url)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<(RawAnswer, HeaderMap), Error> {
        let response = self.call(request, |status| status.is_success()).await?;
        let headers = response.headers().clone();
        let text = String::from_utf8(self.read(response).await?);
        let text = text.map_err(|e| self.unreadable(e.to_string()))?;
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
        let response = response.map_err(|e| Error::transport(self.server(), &e))?;
        let status = response.status();
        if expected(status) {
            return Ok(response);
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        let bytes = self.read(response).await?;
        let text = String::from_utf8_lossy(&bytes);
        Err(refusal(self.server(), status.as_u16(), &text, retry_after))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let failed = |e: reqwest::Error| Error::transport(self.server(), &e);
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            let limit = self.options().max_answer;
            if bytes.len() + part.len() > limit {
                return Err(self.unreadable(format!("the answer has more than {limit} bytes")));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    fn unreadable(&self, detail: String) -> Error {
        let server = self.server().clone();
        Error::Unreadable { server, detail }
    }

    /// The `before` of the next page, from a `Link` header.
    fn next_page(&self, link: &str) -> Option<LtmId> {
        let path = link.strip_prefix('<')?.split_once(">; rel=\"next\"")?.0;
        let url = self.server().api("").join(path).ok()?;
        let (_, before) = url.query_pairs().find(|(name, _)| name == "before")?;
        before.parse().ok()
    }
}

/// A cursor as an entity tag.
pub(crate) fn quoted(cursor: Cursor) -> String {
    format!("\"{cursor}\"")
}

/// Parses an answer.
pub(crate) fn answer<T: DeserializeOwned>(body: RawAnswer) -> Result<Answer<T>, Error> {
    let value = body.read()?;
    let text = body.text;
    Ok(Answer { text, value })
}

/// The seconds in a header.
fn seconds(value: &reqwest::header::HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
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
    use super::*;

    #[test]
    fn the_link_header_names_the_next_page() {
        let client = Client::new("http://localhost:1/prefix").unwrap();
        let link = "</api/v0/ltm?playground=false&limit=2&before=17>; rel=\"next\"";
        assert_eq!(client.next_page(link), LtmId::new(17).ok());
        assert_eq!(client.next_page("<x>; rel=\"prev\""), None);
    }

    #[test]
    fn an_error_shows_the_beginning_of_a_foreign_answer() {
        let server = "http://localhost:1".parse().unwrap();
        let error = refusal(&server, 502, &"<html>".repeat(100), None);
        assert!(error.is_temporary() && error.to_string().len() < 400);
    }
}
