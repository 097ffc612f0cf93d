//! Whoever writes LTMs.

use std::{marker::PhantomData, time::Duration};

use ltm_types::{Cursor, LtmId};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, IF_MATCH},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    Answer, Appended, Client, Created, Error, Recorded, WentBack,
    client::{answer, quoted},
};

/// Writes LTMs. Each call lands once, however often it has to be sent.
///
/// ```no_run
/// # async fn run() -> Result<(), ltm_client::Error> {
/// use ltm_client::Client;
/// use serde_json::json;
///
/// let producer = Client::new("http://127.0.0.1:8000")?.producer().named("engine-1", 7);
/// let new = json!({"fqn": "app.Agent", "state": {"n": 0}});
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
    client: Client,
    /// `Ltm-Producer`.
    name: Option<String>,
}

impl Producer {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, name: None }
    }

    /// Writes as this one: once a higher epoch of the same name has written, this one is refused
    /// ([`ProblemKind::Fenced`](crate::ProblemKind::Fenced)).
    #[must_use]
    pub fn named(self, name: &str, epoch: u64) -> Self {
        self.header(format!("{name};epoch={epoch}"))
    }

    /// The same as the text of the header `Ltm-Producer`; none: writes as nobody in particular.
    #[must_use]
    pub fn header(mut self, text: impl Into<Option<String>>) -> Self {
        self.name = text.into();
        self
    }

    /// Creates an LTM: `{"fqn": …, "state": …}`.
    pub fn create(&self, ltm: &(impl Serialize + ?Sized)) -> Write<'_, Created> {
        self.write("", ltm)
    }

    /// Appends a snapshot: `reason`, and one of `patch`, `merge` (RFC 7396) and `state`.
    pub fn append(&self, id: LtmId, step: &(impl Serialize + ?Sized)) -> Write<'_, Appended> {
        self.write(&format!("/{id}/snapshots"), step)
    }

    /// Goes back, `{"snapshot": {"index": 5}}`, or undoes that, `{"rollback": {"index": 0}}`.
    pub fn rollback(&self, id: LtmId, target: &(impl Serialize + ?Sized)) -> Write<'_, WentBack> {
        self.write(&format!("/{id}/rollback"), target)
    }

    /// Records an error, or what became of it: `id`, a UUID of yours, says which one.
    pub fn record_error(
        &self,
        id: LtmId,
        report: &(impl Serialize + ?Sized),
    ) -> Write<'_, Recorded> {
        self.write(&format!("/{id}/errors"), report)
    }

    fn write<T>(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Write<'_, T> {
        Write {
            producer: self,
            path: path.into(),
            body: serde_json::to_vec(body).map_err(Error::Input),
            if_match: None,
            key: None,
            on_retry: None,
            answer: PhantomData,
        }
    }
}

type OnRetry<'a> = Box<dyn Fn(&Error, Duration) + Send + Sync + 'a>;

/// A call that is to be sent.
#[must_use = "nothing is written before `send`"]
pub struct Write<'a, T> {
    producer: &'a Producer,
    path: String,
    body: Result<Vec<u8>, Error>,
    if_match: Option<Cursor>,
    key: Option<String>,
    on_retry: Option<OnRetry<'a>>,
    answer: PhantomData<fn() -> T>,
}

impl<'a, T: DeserializeOwned> Write<'a, T> {
    /// Only where the LTM is at this cursor; otherwise it is refused
    /// ([`ProblemKind::CursorMismatch`](crate::ProblemKind::CursorMismatch), which says where it is).
    pub fn if_match(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.if_match = cursor.into();
        self
    }

    /// Under this key it lands once, even if it is sent again after a restart of this program. A random one where
    /// none is given.
    pub fn idempotency_key(mut self, key: impl Into<Option<String>>) -> Self {
        self.key = key.into();
        self
    }

    /// Hears why it is sent again, and after which pause.
    pub fn on_retry(mut self, hear: impl Fn(&Error, Duration) + Send + Sync + 'a) -> Self {
        self.on_retry = Some(Box::new(hear));
        self
    }

    /// Sends it until it is answered, always under the same key: again where nobody answers or the answer says that it
    /// may pass, as long after as `Retry-After` says and a random pause. Once more where the token is refused and
    /// there is a source of others.
    ///
    /// # Errors
    ///
    /// Where it is refused for good, or has been sent [`Options::attempts`](crate::Options::attempts) times.
    pub async fn send(mut self) -> Result<Answer<T>, Error> {
        let body = std::mem::replace(&mut self.body, Ok(Vec::new()))?;
        let key = self.key.take();
        let key = key.unwrap_or_else(|| Uuid::new_v4().to_string());
        let client = &self.producer.client;
        let options = client.options();
        let (mut failures, mut renewed) = (0, false);
        loop {
            let error = match self.attempt(&body, &key).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let renews = !renewed && error.asks_for_token() && client.tokens().may_renew();
            if !(error.is_passing() || renews) || failures + 1 >= options.attempts {
                return Err(error);
            }
            renewed |= renews;
            let asked = error.retry_after().unwrap_or_default();
            let pause = asked.min(options.longest_asked) + options.write_pauses.after(failures);
            failures += 1;
            if let Some(hear) = &self.on_retry {
                hear(&error, pause);
            }
            sleep(pause).await;
        }
    }

    async fn attempt(&self, body: &[u8], key: &str) -> Result<Answer<T>, Error> {
        let Producer { client, name } = self.producer;
        let mut request = client
            .request(Method::POST, &self.path)
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", key)
            .body(body.to_vec());
        if let Some(cursor) = self.if_match {
            request = request.header(IF_MATCH, quoted(cursor));
        }
        if let Some(name) = name {
            request = request.header("Ltm-Producer", name);
        }
        answer(client.send(request).await?.0)
    }
}
