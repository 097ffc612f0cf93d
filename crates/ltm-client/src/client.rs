//! The services, and how to ask them.

use std::{sync::Arc, time::Duration};

use ltm_types::{Cursor, LtmId, Problem};
use reqwest::{
    Method, RequestBuilder, Response,
    header::{AUTHORIZATION, HeaderMap, IF_MATCH, LINK, RETRY_AFTER},
};
use serde::de::DeserializeOwned;

use crate::{
    Answer, Body, Copied, Error, Follow, Options, Page, Producer, ServerUrl, Start, StateAt, Token,
    Views,
    token::{Given, Tokens},
};

/// How much of a foreign answer is shown.
const SHOWN_ANSWER: usize = 200;

/// Speaks to the services at one address. A copy costs nothing and shares the connections.
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

/// Makes a client that is not as the defaults say.
pub struct Builder {
    server: ServerUrl,
    tokens: Tokens,
    options: Options,
    agent: String,
}

impl Builder {
    /// Shows this token with every request.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.tokens = Tokens::One(token);
        self
    }

    /// Asks for a token before each connection and each try of a request, so that one that was refused, or has
    /// expired, is replaced. Keep it where it is dear to make.
    #[must_use]
    pub fn tokens<F>(mut self, source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Given> + Send + 'static,
    {
        self.tokens = Tokens::Source(Arc::new(move || Box::pin(source())));
        self
    }

    /// Within these bounds.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The program that speaks: `User-Agent`.
    #[must_use]
    pub fn agent(mut self, agent: &str) -> Self {
        agent.clone_into(&mut self.agent);
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] where the system does not give what an HTTP client needs.
    pub fn build(self) -> Result<Client, Error> {
        let http = reqwest::Client::builder()
            .user_agent(self.agent)
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
    /// [`Error::Url`] where that is none; see [`Builder::build`].
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::builder(url.parse()?).build()
    }

    /// Makes a client that shows a token, or has other bounds.
    pub fn builder(server: ServerUrl) -> Builder {
        Builder {
            server,
            tokens: Tokens::None,
            options: Options::default(),
            agent: concat!("ltm-client/", env!("CARGO_PKG_VERSION")).into(),
        }
    }

    /// Where the services are.
    pub fn server(&self) -> &ServerUrl {
        &self.inner.server
    }

    /// Its bounds.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// What an LTM does, message by message, over as many connections as it takes.
    pub fn follow(&self, id: LtmId, start: Start) -> Follow {
        Follow::new(self.clone(), id, start)
    }

    /// What an LTM is: its state after each message.
    pub fn views(&self, id: LtmId) -> Views {
        Views::new(self.clone(), id)
    }

    /// Whoever writes LTMs.
    pub fn producer(&self) -> Producer {
        Producer::new(self.clone())
    }

    /// The document of an LTM, with what rollbacks took out where that is asked for.
    ///
    /// # Errors
    ///
    /// Where it is refused, or nobody answers.
    pub async fn document(&self, id: LtmId, rollbacks: bool) -> Result<Body, Error> {
        let request = self.request(Method::GET, &format!("/{id}"));
        let (body, _) = self
            .send(request.query(&[("rollbacks", rollbacks)]))
            .await?;
        Ok(body)
    }

    /// A page of the list of LTMs, newest first: of a class where `fqn` is given, before an LTM where that is given.
    ///
    /// # Errors
    ///
    /// Where it is refused, or nobody answers.
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

    /// The state of an LTM now, or as of a snapshot, or of one that a rollback took out.
    ///
    /// # Errors
    ///
    /// Where it is refused, or nobody answers.
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

    /// Copies an LTM. It is sent once: two are two copies.
    ///
    /// # Errors
    ///
    /// Where it is refused, or nobody answers.
    pub async fn copy(&self, id: LtmId) -> Result<Answer<Copied>, Error> {
        let request = self.request(Method::POST, &format!("/{id}/copy"));
        answer(self.send(request).await?.0)
    }

    /// Deletes an LTM, where it is at a cursor if that is given.
    ///
    /// # Errors
    ///
    /// Where it is refused, or nobody answers.
    pub async fn delete(&self, id: LtmId, if_match: Option<Cursor>) -> Result<Body, Error> {
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

    /// Asks for an LTM's Server-Sent Events.
    pub(crate) async fn events(
        &self,
        id: LtmId,
        query: &[(&str, &str)],
    ) -> Result<Response, Error> {
        let url = self.server().events(id);
        self.begin(self.inner.http.get(url).query(query)).await
    }

    /// Sends a request; gives what is answered, as a whole.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<(Body, HeaderMap), Error> {
        let response = self.begin(request).await?;
        let headers = response.headers().clone();
        let text = String::from_utf8(self.read(response).await?);
        let text = text.map_err(|e| self.unreadable(e.to_string()))?;
        let server = self.server().clone();
        Ok((Body { text, server }, headers))
    }

    /// Sends a request, with the token as of now; an answer that is no success becomes an error.
    async fn begin(&self, request: RequestBuilder) -> Result<Response, Error> {
        let request = match self.tokens().ask().await? {
            Some(token) => request.header(AUTHORIZATION, token.header()),
            None => request,
        };
        let response = request.send().await;
        let response = response.map_err(|e| Error::transport(self.server(), &e))?;
        let status = response.status();
        if status.is_success() {
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
                return Err(self.unreadable(format!("it is longer than {limit} bytes")));
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

/// The members of an answer.
pub(crate) fn answer<T: DeserializeOwned>(body: Body) -> Result<Answer<T>, Error> {
    let value = body.read()?;
    let text = body.text;
    Ok(Answer { text, value })
}

/// How many seconds a header says.
pub(crate) fn seconds(value: &reqwest::header::HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The error for an answer that is no success.
pub(crate) fn refusal(
    server: &ServerUrl,
    status: u16,
    text: &str,
    retry_after: Option<Duration>,
) -> Error {
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
    fn the_next_page_is_where_the_link_leads() {
        let client = Client::new("http://localhost:1/prefix").unwrap();
        let link = "</api/v0/ltm?playground=false&limit=2&before=17>; rel=\"next\"";
        assert_eq!(client.next_page(link), LtmId::new(17).ok());
        assert_eq!(client.next_page("<x>; rel=\"prev\""), None);
    }

    #[test]
    fn an_answer_of_something_else_is_shown_in_part() {
        let server = "http://localhost:1".parse().unwrap();
        let error = refusal(&server, 502, &"<html>".repeat(100), None);
        assert!(error.is_passing() && error.to_string().len() < 400);
    }
}
