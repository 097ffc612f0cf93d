//! A text that grows in the state of an LTM, such as the tokens of a model.

use std::{
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ltm_types::LtmRef;
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinHandle, time::sleep};

use crate::{Answer, Appended, Error, Producer};

/// The pause between two chunks.
const PACE: Duration = Duration::from_millis(50);

/// Streams a text into the state of an LTM. While the text grows, it is a list of chunks, `{"chunks": ["Har", "bours "]}`,
/// because JSON Patch cannot append to a text. [`end`](Self::end) replaces the list with the text.
///
/// ```no_run
/// # async fn run(producer: ltm_client::Producer, id: ltm_client::LtmId, tokens: Vec<String>) -> Result<(), ltm_client::Error> {
/// use ltm_client::TextStream;
///
/// let mut text = TextStream::begin(producer, id, "/messages/3/content");
/// for token in tokens {
///     text.write(&token);
/// }
/// text.end().await?;
/// # Ok(())
/// # }
/// ```
pub struct TextStream {
    target: Target,
    text: String,
    unsent: Arc<Unsent>,
    /// Sends chunks in the background. Its result: whether it has sent one.
    sending: JoinHandle<Result<bool, Error>>,
}

/// Where the text goes.
#[derive(Clone)]
struct Target {
    producer: Producer,
    ltm: LtmRef,
    path: String,
}

/// What was written, and not sent yet.
#[derive(Default)]
struct Unsent {
    pending: Mutex<Pending>,
    changed: Notify,
}

#[derive(Default)]
struct Pending {
    chunk: String,
    is_ended: bool,
}

impl TextStream {
    /// Begins a text at `path`, a JSON Pointer such as `/messages/3/content`. Its member is made or replaced with the first
    /// chunk. A chunk has what was written within 50 ms. Must be called within a runtime of tokio.
    pub fn begin(producer: Producer, ltm: impl Into<LtmRef>, path: &str) -> Self {
        let target = Target {
            producer,
            ltm: ltm.into(),
            path: path.into(),
        };
        let unsent = Arc::new(Unsent::default());
        Self {
            sending: tokio::spawn(send_chunks(target.clone(), unsent.clone())),
            target,
            text: String::new(),
            unsent,
        }
    }

    /// Adds to the text. A task sends it in the background; [`end`](Self::end) returns its error.
    pub fn write(&mut self, more: &str) {
        self.text.push_str(more);
        self.unsent.lock().chunk.push_str(more);
        self.unsent.changed.notify_one();
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Completes the text: the chunks become one text.
    ///
    /// # Errors
    ///
    /// [`Error`] of the first write that failed.
    pub async fn end(mut self) -> Result<Answer<Appended>, Error> {
        self.unsent.lock().is_ended = true;
        self.unsent.changed.notify_one();
        // The task ends by itself and is aborted nowhere else, so it has a result unless it panicked.
        let has_chunks = (&mut self.sending).await.unwrap_or(Ok(true))?;
        let op = if has_chunks { "replace" } else { "add" };
        let text = take(&mut self.text);
        self.target.append(op, "", text.into()).await
    }
}

impl Drop for TextStream {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl Unsent {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next chunk; `None` at the end, when the whole text is about to be sent.
    async fn next(&self) -> Option<String> {
        loop {
            {
                let mut pending = self.lock();
                if pending.is_ended {
                    return None;
                }
                if !pending.chunk.is_empty() {
                    return Some(take(&mut pending.chunk));
                }
            }
            self.changed.notified().await;
        }
    }
}

impl Target {
    async fn append(&self, op: &str, below: &str, value: Value) -> Result<Answer<Appended>, Error> {
        let path = format!("{}{below}", self.path);
        let patch = json!([{"op": op, "path": path, "value": value}]);
        let step = json!({"reason": "tokens", "patch": patch});
        self.producer.append(self.ltm.clone(), &step).send().await
    }
}

/// Sends chunks until the text has ended. Returns whether there was one.
async fn send_chunks(target: Target, unsent: Arc<Unsent>) -> Result<bool, Error> {
    let mut has_chunks = false;
    while let Some(chunk) = unsent.next().await {
        if has_chunks {
            target.append("add", "/chunks/-", chunk.into()).await?;
        } else {
            target.append("add", "", json!({"chunks": [chunk]})).await?;
        }
        has_chunks = true;
        sleep(PACE).await;
    }
    Ok(has_chunks)
}
