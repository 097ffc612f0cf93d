//! The client of the services.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ltm_types::{Cursor, LtmId, LtmRef};
use reqwest::{
    Method,
    header::{IF_MATCH, LINK},
};
use tokio::time::sleep;

use crate::{
    Answer, Copied, Counts, Error, Follow, ListFilter, Options, Page, Producer, RawAnswer,
    ServerUrl, Start, StateAt, Token, Views,
    answer::RollbackPages,
    http::{Http, path, quoted},
    token::{TokenResult, Tokens},
};

/// The header of an answer that may lack LTMs.
const INCOMPLETE: &str = "ltm-incomplete";

/// A client of the services at one address. An [`LtmId`] or an [`LtmKey`](crate::LtmKey) names an LTM. Clones are cheap and share the connections.
#[derive(Clone)]
pub struct Client {
    http: Http,
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
        let http = Http::new(&self.agent, self.server, self.tokens, self.options)?;
        Ok(Client { http })
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
        self.http.server()
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// The options of the client.
    pub fn options(&self) -> &Options {
        self.http.options()
    }

    /// Follows an LTM: its messages one by one, over any number of connections.
    pub fn follow(&self, ltm: impl Into<LtmRef>, start: Start) -> Follow {
        Follow::new(self.http.clone(), ltm.into(), start)
    }

    /// Follows an LTM: each message, and the state after it.
    pub fn views(&self, ltm: impl Into<LtmRef>) -> Views {
        Views::new(self.http.clone(), ltm.into())
    }

    /// A producer, which writes LTMs.
    pub fn producer(&self) -> Producer {
        Producer::new(self.http.clone())
    }

    /// The document of an LTM. `rollbacks` adds the history before each rollback, which can be much larger than the rest:
    /// the client asks for it page by page.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn document(
        &self,
        ltm: impl Into<LtmRef>,
        rollbacks: bool,
    ) -> Result<RawAnswer, Error> {
        let path = path(ltm, "");
        let (mut pages, mut from) = (RollbackPages::default(), None);
        loop {
            let mut request = self.http.request(Method::GET, &path);
            if rollbacks {
                request = request.query(&[("rollbacks", true)]);
            }
            if let Some(from) = from {
                request = request.query(&[("from_rollback", from)]);
            }
            let (document, _) = self.http.send(request).await?;
            if !rollbacks {
                return Ok(document);
            }
            from = pages.add(&document)?;
            if from.is_none() {
                return pages.all(document);
            }
        }
    }

    /// A page of the list of LTMs, newest first: at most `limit` of them, and only before the LTM `before`, if given.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn list(
        &self,
        filter: &ListFilter,
        limit: usize,
        before: Option<LtmId>,
    ) -> Result<Page, Error> {
        let statuses = (!filter.statuses.is_empty()).then(|| filter.statuses.join(","));
        let request = self
            .http
            .request(Method::GET, "")
            .query(&[("playground", filter.playground)])
            .query(&[
                ("status", &statuses),
                ("fqn", &filter.fqn),
                ("name", &filter.name),
            ])
            .query(&[
                ("created_after", &filter.created_after),
                ("created_before", &filter.created_before),
                ("updated_after", &filter.updated_after),
                ("updated_before", &filter.updated_before),
            ])
            .query(&[("has_errors", filter.has_errors)])
            .query(&[("limit", limit)])
            .query(&[("before", before)]);
        let (rows, headers) = self.http.send(request).await?;
        let link = headers.get(LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| self.next_page(link));
        let is_incomplete = headers.contains_key(INCOMPLETE);
        Ok(Page {
            rows,
            next,
            is_incomplete,
        })
    }

    /// The number of LTMs that the caller may see, by status and class, on the playground or outside of it.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn counts(&self, playground: bool) -> Result<Counts, Error> {
        let request = self.http.request(Method::GET, "/counts");
        let request = request.query(&[("playground", playground)]);
        let (numbers, headers) = self.http.send(request).await?;
        let is_incomplete = headers.contains_key(INCOMPLETE);
        Ok(Counts {
            numbers,
            is_incomplete,
        })
    }

    /// The metrics of the service at this address, in Prometheus's text format. A proxy may keep them to itself.
    ///
    /// # Errors
    ///
    /// [`Error`] if the service has no metrics there or does not answer.
    pub async fn metrics(&self) -> Result<String, Error> {
        let request = self.http.get(self.server().metrics());
        Ok(self.http.send(request).await?.0.text)
    }

    /// The current state of an LTM, or the state after a snapshot, also after one that a rollback took out.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn state(
        &self,
        ltm: impl Into<LtmRef>,
        index: Option<u64>,
        rollback: Option<u64>,
    ) -> Result<Answer<StateAt>, Error> {
        let request = self.http.request(Method::GET, &path(ltm, "/state"));
        let request = request.query(&[("index", index), ("rollback", rollback)]);
        self.http.send(request).await?.0.parse()
    }

    /// Waits until an LTM has one of these statuses, and has left the cursor `after`. Returns its row of the list, or
    /// `None` after `limit`. The client asks again while the API has no answer, or cannot be reached.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request, for example because the LTM is deleted, or is still not reachable after
    /// `limit`.
    pub async fn wait(
        &self,
        ltm: impl Into<LtmRef>,
        statuses: &[String],
        after: Option<Cursor>,
        limit: Option<Duration>,
    ) -> Result<Option<RawAnswer>, Error> {
        let (began, mut failures) = (Instant::now(), 0);
        let path = path(ltm, "/wait");
        let left = || limit.map_or(Duration::MAX, |limit| limit.saturating_sub(began.elapsed()));
        loop {
            // The API must answer before the client takes it for dead.
            let step = left().min(self.options().answer_timeout / 2);
            let request = self.http.request(Method::GET, &path);
            let request = request
                .query(&[("status", statuses.join(","))])
                .query(&[("after", after)])
                .query(&[("timeout", format!("{}ms", step.as_millis()))]);
            let asked = Instant::now();
            match self.http.send(request).await {
                Ok((row, _)) if !row.text().is_empty() => return Ok(Some(row)),
                Ok(_) if left().is_zero() => return Ok(None),
                // An answer before its time comes from an API that stops.
                Ok(_) if asked.elapsed() >= step => {
                    failures = 0;
                    continue;
                }
                Err(error) if !error.is_temporary() || left().is_zero() => return Err(error),
                Ok(_) | Err(_) => {}
            }
            sleep(self.options().connect_backoff.pause(failures).min(left())).await;
            failures += 1;
        }
    }

    /// Copies an LTM. The client never retries: a second request would make a second copy.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn copy(&self, ltm: impl Into<LtmRef>) -> Result<Answer<Copied>, Error> {
        let request = self.http.request(Method::POST, &path(ltm, "/copy"));
        self.http.send(request).await?.0.parse()
    }

    /// Deletes an LTM; with `if_match` only if it is at that cursor.
    ///
    /// # Errors
    ///
    /// [`Error`] if the API rejects the request or does not answer.
    pub async fn delete(
        &self,
        ltm: impl Into<LtmRef>,
        if_match: Option<Cursor>,
    ) -> Result<RawAnswer, Error> {
        let mut request = self.http.request(Method::DELETE, &path(ltm, ""));
        if let Some(cursor) = if_match {
            request = request.header(IF_MATCH, quoted(cursor));
        }
        Ok(self.http.send(request).await?.0)
    }

    /// The `before` of the next page, from a `Link` header.
    fn next_page(&self, link: &str) -> Option<LtmId> {
        let path = link.strip_prefix('<')?.split_once(">; rel=\"next\"")?.0;
        let url = self.server().api("").join(path).ok()?;
        let (_, before) = url.query_pairs().find(|(name, _)| name == "before")?;
        before.parse().ok()
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
}
