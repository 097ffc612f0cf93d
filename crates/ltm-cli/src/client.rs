//! The HTTP client of the API.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use ltm_types::{Cursor, LtmId};
use reqwest::{
    Method, RequestBuilder, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, IF_MATCH, LINK},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{error::Error, json, output::printable, server_url::ServerUrl, token::Token};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may keep silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How much of a foreign answer is shown.
const SHOWN_ANSWER: usize = 200;

/// What an append is bound to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// The cursor that the LTM must be at.
    pub(crate) if_match: Option<Cursor>,
    /// Under this key the snapshot lands once; a random one where it is absent.
    pub(crate) idempotency_key: Option<String>,
    /// Who writes.
    pub(crate) producer: Option<String>,
}

/// An answer: its text and the members that are needed.
pub(crate) struct Answer<T> {
    /// The text as it came.
    pub(crate) text: String,
    /// What was read from it.
    pub(crate) value: T,
}

/// The answer to a creation.
#[derive(Deserialize)]
pub(crate) struct Created {
    /// The new LTM.
    pub(crate) id: LtmId,
    /// Where its log is.
    pub(crate) cursor: Cursor,
}

/// The answer to an append.
#[derive(Deserialize)]
pub(crate) struct Appended {
    /// Where the log is.
    pub(crate) cursor: Cursor,
    /// Which snapshot it is.
    pub(crate) index: u64,
}

/// The answer to a rollback.
#[derive(Deserialize)]
pub(crate) struct WentBack {
    /// Where the log is.
    pub(crate) cursor: Cursor,
    /// How many snapshots there are now.
    pub(crate) snapshots_count: u64,
}

/// The answer to an error that was recorded.
#[derive(Deserialize)]
pub(crate) struct Recorded {
    /// Where the log is.
    pub(crate) cursor: Cursor,
}

/// The answer to a copy.
#[derive(Deserialize)]
pub(crate) struct Copied {
    /// The copy.
    pub(crate) copy_id: LtmId,
}

/// A state as of a snapshot.
#[derive(Deserialize)]
pub(crate) struct StateAt {
    /// Where the log was.
    pub(crate) cursor: Cursor,
    /// The snapshot; -1 is before the first.
    pub(crate) index: i64,
    /// The state.
    pub(crate) state: Map<String, Value>,
}

/// Speaks to the API.
pub(crate) struct Client {
    http: reqwest::Client,
    server: ServerUrl,
}

impl Client {
    /// A client of the API at `server` that shows this token.
    pub(crate) fn new(server: ServerUrl, token: Option<&Token>) -> Result<Self, Error> {
        let headers = token.map(|token| (AUTHORIZATION, token.header()));
        let http = reqwest::Client::builder()
            .user_agent(concat!("ltm/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers.into_iter().collect())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|e| Error::transport(&server, &e))?;
        Ok(Self { http, server })
    }

    /// Where the services are.
    pub(crate) fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Creates an LTM.
    pub(crate) async fn create(&self, new: &impl Serialize) -> Result<Answer<Created>, Error> {
        self.post("", new, &Conditions::default(), |_| {}).await
    }

    /// Creates an LTM, once for a key.
    pub(crate) async fn create_once(
        &self,
        new: &impl Serialize,
        key: &str,
        on_failure: impl Fn(&Error),
    ) -> Result<Answer<Created>, Error> {
        let conditions = Conditions {
            idempotency_key: Some(key.into()),
            ..Conditions::default()
        };
        self.post("", new, &conditions, on_failure).await
    }

    /// Records an error of an LTM, once.
    pub(crate) async fn record_error(
        &self,
        id: LtmId,
        error: &impl Serialize,
        conditions: &Conditions,
        on_failure: impl Fn(&Error),
    ) -> Result<Answer<Recorded>, Error> {
        self.post(&format!("/{id}/errors"), error, conditions, on_failure)
            .await
    }

    /// The document of an LTM, as text.
    pub(crate) async fn document(&self, id: LtmId, rollbacks: bool) -> Result<String, Error> {
        let request = self
            .request(Method::GET, &format!("/{id}"))
            .query(&[("rollbacks", rollbacks)]);
        Ok(self.send(request).await?.0)
    }

    /// A page of a list, as text, and the id that the next page begins before.
    pub(crate) async fn list(
        &self,
        playground: bool,
        fqn: Option<&str>,
        limit: usize,
        before: Option<LtmId>,
    ) -> Result<(String, Option<LtmId>), Error> {
        let request = self
            .request(Method::GET, "")
            .query(&[("playground", playground)])
            .query(&[("fqn", fqn)])
            .query(&[("limit", limit)])
            .query(&[("before", before)]);
        let (text, headers) = self.send(request).await?;
        let link = headers.get(LINK).and_then(|link| link.to_str().ok());
        Ok((text, link.and_then(|link| self.next_page(link))))
    }

    /// Appends a snapshot, once.
    pub(crate) async fn append(
        &self,
        id: LtmId,
        snapshot: &impl Serialize,
        conditions: &Conditions,
        on_failure: impl Fn(&Error),
    ) -> Result<Answer<Appended>, Error> {
        self.post(
            &format!("/{id}/snapshots"),
            snapshot,
            conditions,
            on_failure,
        )
        .await
    }

    /// Goes back in the history of an LTM, once.
    pub(crate) async fn rollback(
        &self,
        id: LtmId,
        target: &impl Serialize,
        conditions: &Conditions,
        on_failure: impl Fn(&Error),
    ) -> Result<Answer<WentBack>, Error> {
        self.post(&format!("/{id}/rollback"), target, conditions, on_failure)
            .await
    }

    /// Copies an LTM.
    pub(crate) async fn copy(&self, id: LtmId) -> Result<Answer<Copied>, Error> {
        let request = self.request(Method::POST, &format!("/{id}/copy"));
        let (text, _) = self.send(request).await?;
        self.answer(text)
    }

    /// Deletes an LTM, where it is at a cursor if that is given; gives the answer as text.
    pub(crate) async fn delete(
        &self,
        id: LtmId,
        if_match: Option<Cursor>,
    ) -> Result<String, Error> {
        let mut request = self.request(Method::DELETE, &format!("/{id}"));
        if let Some(cursor) = if_match {
            request = request.header(IF_MATCH, format!("\"{cursor}\""));
        }
        Ok(self.send(request).await?.0)
    }

    /// The state of an LTM now, or as of a snapshot, or of one that a rollback took out.
    pub(crate) async fn state(
        &self,
        id: LtmId,
        index: Option<u64>,
        rollback: Option<u64>,
    ) -> Result<Answer<StateAt>, Error> {
        let request = self
            .request(Method::GET, &format!("/{id}/state"))
            .query(&[("index", index), ("rollback", rollback)]);
        let (text, _) = self.send(request).await?;
        self.answer(text)
    }

    /// Writes, once: after a failure that may pass it is sent again with the same key.
    async fn post<T: for<'a> Deserialize<'a>>(
        &self,
        path: &str,
        body: &impl Serialize,
        conditions: &Conditions,
        on_failure: impl Fn(&Error),
    ) -> Result<Answer<T>, Error> {
        let random = || Uuid::new_v4().to_string();
        let key = conditions.idempotency_key.clone().unwrap_or_else(random);
        let body = serde_json::to_vec(body).map_err(|e| Error::Input(format!("not JSON: {e}")))?;
        let attempt = async || {
            let mut request = self
                .request(Method::POST, path)
                .header(CONTENT_TYPE, "application/json")
                .header("Idempotency-Key", &key)
                .body(body.clone());
            if let Some(cursor) = conditions.if_match {
                request = request.header(IF_MATCH, format!("\"{cursor}\""));
            }
            if let Some(producer) = &conditions.producer {
                request = request.header("Ltm-Producer", producer);
            }
            self.send(request).await
        };
        let (text, _) = attempt
            .retry(pauses())
            .when(Error::is_passing)
            .notify(|error, _| on_failure(error))
            .await?;
        self.answer(text)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.server.api(path))
    }

    /// Sends a request; an answer that is no success becomes an error.
    async fn send(&self, request: RequestBuilder) -> Result<(String, HeaderMap), Error> {
        let failed = |e: reqwest::Error| Error::transport(&self.server, &e);
        let response: Response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.map_err(failed)?;
        if status.is_success() {
            return Ok((text, headers));
        }
        Err(refusal(&self.server, status.as_u16(), &text))
    }

    fn answer<T: for<'a> Deserialize<'a>>(&self, text: String) -> Result<Answer<T>, Error> {
        match json::read(&text) {
            Ok(value) => Ok(Answer { text, value }),
            Err(e) => Err(misunderstood(&self.server, &e)),
        }
    }

    /// The `before` of the next page, from a `Link` header.
    fn next_page(&self, link: &str) -> Option<LtmId> {
        let path = link.strip_prefix('<')?.split_once(">; rel=\"next\"")?.0;
        let url = self.server.api("").join(path).ok()?;
        let (_, before) = url.query_pairs().find(|(name, _)| name == "before")?;
        before.parse().ok()
    }
}

/// The error for an answer that is no success.
pub(crate) fn refusal(server: &ServerUrl, status: u16, text: &str) -> Error {
    match serde_json::from_str(text) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) => Error::Answer {
            server: server.clone(),
            status,
            text: printable(&text.chars().take(SHOWN_ANSWER).collect::<String>()),
        },
    }
}

/// The error for an answer that cannot be read.
pub(crate) fn misunderstood(server: &ServerUrl, error: &serde_json::Error) -> Error {
    Error::Answered(format!(
        "what {server} answered cannot be read ({error}); is it ltm-live that runs there?"
    ))
}

/// Pauses between tries of one request, about half a minute in all.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(10)
        .with_jitter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_link_leads() {
        let client = Client::new("http://localhost:1/prefix".parse().unwrap(), None).unwrap();
        let link = "</api/v0/ltm?playground=false&limit=2&before=17>; rel=\"next\"";
        assert_eq!(client.next_page(link), LtmId::new(17).ok());
        assert_eq!(client.next_page("<x>; rel=\"prev\""), None);
    }

    #[test]
    fn an_answer_of_something_else_is_shown_in_part() {
        let server = "http://localhost:1".parse().unwrap();
        let error = refusal(&server, 502, &"<html>".repeat(100));
        assert!(error.is_passing() && error.to_string().len() < 400);
    }
}
