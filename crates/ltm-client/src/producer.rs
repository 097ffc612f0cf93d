//! Writes LTMs.

use std::{marker::PhantomData, time::Duration};

use ltm_types::{Cursor, LtmRef};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, IF_MATCH},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    Answer, Appended, AppendedBatch, Created, Error, Recorded, RolledBack,
    http::{Http, path, quoted},
};

/// Writes LTMs. Each write lands once, however often the client has to send it.
///
/// ```no_run
/// # async fn run() -> Result<(), ltm_client::Error> {
/// use ltm_client::Client;
/// use serde_json::json;
///
/// let producer = Client::new("http://127.0.0.1:8000")?.producer().named("engine-1", 7);
/// let new = json!({"fqn": "app.Agent", "key": "thread-7", "state": {"n": 0}});
/// let created = producer.create(&new).send().await?;
/// let step = json!({"reason": "execute", "merge": {"n": 1}});
/// let appended = producer
///     .append(created.id, &step)
///     .if_match(created.cursor)
///     .send()
///     .await?;
/// println!("snapshot {} at {}", appended.index, appended.cursor);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Producer {
    http: Http,
    /// The header `Ltm-Producer`.
    name: Option<String>,
}

impl Producer {
    pub(crate) fn new(http: Http) -> Self {
        Self { http, name: None }
    }

    /// Writes under this name and epoch. Once a higher epoch of the same name has written, the API rejects this one
    /// ([`ProblemKind::Fenced`](crate::ProblemKind::Fenced)).
    #[must_use]
    pub fn named(self, name: &str, epoch: u64) -> Self {
        self.header(format!("{name};epoch={epoch}"))
    }

    /// Writes with this text as the header `Ltm-Producer`; `None` writes without a name.
    #[must_use]
    pub fn header(mut self, text: impl Into<Option<String>>) -> Self {
        self.name = text.into();
        self
    }

    /// Creates an LTM: `{"fqn": …, "state": …}`. With a `key`, gets the LTM with this key if there is one; the answer's
    /// `created` tells.
    pub fn create(&self, ltm: &(impl Serialize + ?Sized)) -> Write<'_, Created> {
        self.write("", ltm)
    }

    /// Appends a snapshot: `reason`, and one of `patch`, `merge` (RFC 7396) and `state`.
    pub fn append(
        &self,
        ltm: impl Into<LtmRef>,
        step: &(impl Serialize + ?Sized),
    ) -> Write<'_, Appended> {
        self.write(&path(ltm, "/snapshots"), step)
    }

    /// Appends snapshots in one request: all or none. A request may have up to 1,000, unless the API allows fewer, and a
    /// body of up to 8 MiB. An error names the snapshot: `snapshots[3].patch[0]`
    /// ([`Error::snapshot`](crate::Error::snapshot)).
    ///
    /// ```no_run
    /// # async fn run(producer: ltm_client::Producer, id: ltm_client::LtmId) -> Result<(), ltm_client::Error> {
    /// use serde_json::json;
    ///
    /// let steps: Vec<_> = (1..=50)
    ///     .map(|n| json!({"reason": "execute", "merge": {"n": n}}))
    ///     .collect();
    /// let appended = producer.append_all(id, &steps).send().await?;
    /// assert_eq!(appended.cursors.len(), 50);
    /// # Ok(())
    /// # }
    /// ```
    pub fn append_all(
        &self,
        ltm: impl Into<LtmRef>,
        steps: &[impl Serialize],
    ) -> Write<'_, AppendedBatch> {
        #[derive(Serialize)]
        struct Batch<'a, T> {
            snapshots: &'a [T],
        }

        self.write(&path(ltm, "/snapshots"), &Batch { snapshots: steps })
    }

    /// Rolls back to a snapshot, `{"snapshot": {"index": 5}}`, or undoes a rollback, `{"rollback": {"index": 0}}`.
    pub fn rollback(
        &self,
        ltm: impl Into<LtmRef>,
        target: &(impl Serialize + ?Sized),
    ) -> Write<'_, RolledBack> {
        self.write(&path(ltm, "/rollback"), target)
    }

    /// Records or updates an error. The field `id`, a UUID that you choose, identifies it.
    pub fn record_error(
        &self,
        ltm: impl Into<LtmRef>,
        report: &(impl Serialize + ?Sized),
    ) -> Write<'_, Recorded> {
        self.write(&path(ltm, "/errors"), report)
    }

    fn write<T>(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Write<'_, T> {
        Write {
            producer: self,
            path: path.into(),
            reuse: false,
            body: serde_json::to_vec(body).map_err(Error::Input),
            if_match: None,
            key: None,
            on_retry: None,
            answer: PhantomData,
        }
    }
}

type OnRetry<'a> = Box<dyn Fn(&Error, Duration) + Send + Sync + 'a>;

/// A write that has not been sent.
#[must_use = "a write does nothing before `send`"]
pub struct Write<'a, T> {
    producer: &'a Producer,
    path: String,
    reuse: bool,
    body: Result<Vec<u8>, Error>,
    if_match: Option<Cursor>,
    key: Option<String>,
    on_retry: Option<OnRetry<'a>>,
    answer: PhantomData<fn() -> T>,
}

impl Write<'_, Created> {
    /// If the LTM with the `key` was deleted, gives the key to a new LTM.
    pub fn reuse(mut self, reuse: bool) -> Self {
        self.reuse = reuse;
        self
    }
}

impl<'a, T: DeserializeOwned> Write<'a, T> {
    /// Writes only if the LTM is at this cursor. Otherwise the API rejects the write with
    /// [`ProblemKind::CursorMismatch`](crate::ProblemKind::CursorMismatch), which has the current cursor.
    pub fn if_match(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.if_match = cursor.into();
        self
    }

    /// Sends the write under this `Idempotency-Key`, so that it lands once even if your program sends it again after
    /// a restart. Default: a random key.
    pub fn idempotency_key(mut self, key: impl Into<Option<String>>) -> Self {
        self.key = key.into();
        self
    }

    /// Calls `notify` before each retry, with the reason and the pause.
    pub fn on_retry(mut self, notify: impl Fn(&Error, Duration) + Send + Sync + 'a) -> Self {
        self.on_retry = Some(Box::new(notify));
        self
    }

    /// Sends the write, always under the same key. The client retries if no service answers or the error is temporary,
    /// after `Retry-After` plus a random pause. If the services reject the token and there is a token source, the
    /// client retries once with a new token.
    ///
    /// # Errors
    ///
    /// [`Error`] if the failure is permanent, or after [`Options::attempts`](crate::Options::attempts) attempts.
    pub async fn send(mut self) -> Result<Answer<T>, Error> {
        let body = std::mem::replace(&mut self.body, Ok(Vec::new()))?;
        let key = self.key.take();
        let key = key.unwrap_or_else(|| Uuid::new_v4().to_string());
        let http = &self.producer.http;
        let options = http.options();
        let (mut failures, mut renewed) = (0, false);
        loop {
            let error = match self.attempt(&body, &key).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let renews = !renewed && error.rejects_token() && http.tokens().may_renew();
            if !(error.is_temporary() || renews) || failures + 1 >= options.attempts {
                return Err(error);
            }
            renewed |= renews;
            let asked = error.retry_after().unwrap_or_default();
            let pause = asked.min(options.max_retry_after) + options.write_backoff.pause(failures);
            failures += 1;
            if let Some(notify) = &self.on_retry {
                notify(&error, pause);
            }
            sleep(pause).await;
        }
    }

    async fn attempt(&self, body: &[u8], key: &str) -> Result<Answer<T>, Error> {
        let Producer { http, name } = self.producer;
        let mut request = http
            .request(Method::POST, &self.path)
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", key)
            .body(body.to_vec());
        if self.reuse {
            request = request.query(&[("reuse", true)]);
        }
        if let Some(cursor) = self.if_match {
            request = request.header(IF_MATCH, quoted(cursor));
        }
        if let Some(name) = name {
            request = request.header("Ltm-Producer", name);
        }
        http.send(request).await?.0.parse()
    }
}
