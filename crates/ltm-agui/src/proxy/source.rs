//! Where the events of a run come from: an agent, or the body of a request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use ltm_state::{Limits, json::memory_of, patch::MAX_DEPTH};
use ltm_store::apart;
use ltm_types::shorten;
use reqwest::{
    Client, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{
    event_stream::{Decoder, Form},
    inputs::Input,
};
use crate::record::{End, Event};

/// The most events that wait, however small they are.
const WAITING: usize = 1024;
/// The most characters of an agent's refusal that the run's error shows.
const SHOWN_ANSWER: usize = 300;

/// An event that waits to be written, and its part of the buffer.
pub(super) struct Waiting {
    pub(super) event: Event,
    pub(super) bytes: usize,
    _permit: OwnedSemaphorePermit,
}

/// The events of a body, read while there is room for them.
pub(super) struct Source<B> {
    pub(super) events: mpsc::Receiver<Waiting>,
    pub(super) reader: Reader<B>,
}

/// Reads a body; see [`Reader::read`].
pub(super) struct Reader<B> {
    body: B,
    decoder: Decoder,
    idle: Duration,
    room: Arc<Semaphore>,
    buffer: usize,
    /// The most memory that one event may take.
    max_memory: usize,
    sender: mpsc::Sender<Waiting>,
    is_complete: bool,
}

/// The bytes of a body; an error says why it broke off.
pub(super) trait Body: Stream<Item = Result<Bytes, String>> + Unpin {}

impl<S: Stream<Item = Result<Bytes, String>> + Unpin> Body for S {}

/// The limits of a source.
#[derive(Clone, Copy)]
pub(super) struct SourceLimits {
    pub(super) max_event: usize,
    pub(super) buffer: usize,
    pub(super) idle: Duration,
}

impl<B: Body> Source<B> {
    pub(super) fn new(body: B, form: Form, limits: SourceLimits) -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let reader = Reader {
            body,
            decoder: Decoder::new(form, limits.max_event),
            idle: limits.idle,
            room: Arc::new(Semaphore::new(limits.buffer)),
            buffer: limits.buffer,
            max_memory: Limits::of_state(limits.max_event, MAX_DEPTH, 0).max_memory,
            sender,
            is_complete: false,
        };
        Self { events, reader }
    }
}

impl<B: Body> Reader<B> {
    /// Reads to the end of the body. Returns why it ended early; `None` if the body is complete.
    pub(super) async fn read(mut self) -> Option<End> {
        loop {
            while let Some(text) = self.decoder.next() {
                if let Err(end) = self.take(text).await {
                    return end;
                }
            }
            let next = async {
                match self.is_complete {
                    true => None,
                    false => self.body.next().await,
                }
            };
            let piece = match timeout(self.idle, next).await {
                Ok(piece) => piece,
                Err(_) => {
                    let message = format!("no event came for {:?}", self.idle);
                    return Some(failed("upstream-idle", message));
                }
            };
            let read = match piece {
                Some(Ok(bytes)) => self.decoder.push(&bytes),
                Some(Err(error)) => return Some(failed("upstream-cut", error)),
                None if self.is_complete => return None,
                None => {
                    self.is_complete = true;
                    self.decoder.finish()
                }
            };
            if read.is_err() {
                let message = "an event is larger than `agui.max_event`".to_owned();
                return Some(failed("event-too-large", message));
            }
        }
    }

    /// Waits until there is room for an event, and reads it. The error says how the run ends; it is `None` if nobody writes
    /// the events any more.
    async fn take(&self, text: String) -> Result<(), Option<End>> {
        let (bytes, memory) = (text.len(), memory_of(&text));
        if memory > self.max_memory {
            let most = self.max_memory;
            let message = format!(
                "an event would take about {memory} bytes of memory, and {most} are allowed (`agui.max_event`)"
            );
            return Err(Some(failed("event-too-large", message)));
        }
        let part = memory.max(bytes).min(self.buffer);
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        let permit = self.room.clone().acquire_many_owned(part).await;
        let permit = permit.map_err(|_| None)?;
        let event = apart(bytes, move || Event::read(&text)).await;
        let event = event.map_err(|e| Some(failed(e.code(), e.to_string())))?;
        let waiting = Waiting {
            event,
            bytes,
            _permit: permit,
        };
        self.sender.send(waiting).await.map_err(|_| None)
    }
}

pub(super) fn failed(code: &'static str, message: String) -> End {
    End::Failed { code, message }
}

/// Asks an agent to run.
///
/// # Errors
///
/// How the run ends, because the agent did not begin to answer.
pub(super) async fn ask(
    client: &Client,
    url: Url,
    input: Input,
    headers: HeaderMap,
    limits: SourceLimits,
) -> Result<Source<impl Body + use<>>, End> {
    let (body, share) = input.into_body().await;
    let request = client
        .post(url)
        .headers(headers)
        .header(ACCEPT, "text/event-stream")
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    let answer = timeout(limits.idle, request.send()).await;
    // The agent has read the input.
    drop(share);
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let message = format!("the agent cannot be reached: {}", cause(&error));
            return Err(failed("upstream-unreachable", message));
        }
        Err(_) => {
            let message = format!("the agent did not answer for {:?}", limits.idle);
            return Err(failed("upstream-idle", message));
        }
    };
    let status = answer.status();
    if status != StatusCode::OK {
        let text = beginning(answer).await;
        let message = format!("the agent answered {status}: {text}");
        return Err(failed("upstream-status", message));
    }
    let kind = answer.headers().get(CONTENT_TYPE);
    let kind = kind
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let Some(form) = form_of(&kind) else {
        let message = format!("the agent answered {kind:?} and not text/event-stream");
        return Err(failed("upstream-format", message));
    };
    let body = futures_util::stream::unfold(answer, |mut answer| async {
        match answer.chunk().await {
            Ok(Some(bytes)) => Some((Ok(bytes), answer)),
            Ok(None) => None,
            Err(error) => {
                let message = format!("the connection to the agent was lost: {}", cause(&error));
                Some((Err(message), answer))
            }
        }
    });
    Ok(Source::new(Box::pin(body), form, limits))
}

/// The form of a body with this content type.
pub(super) fn form_of(content_type: &str) -> Option<Form> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "text/event-stream" => Some(Form::Events),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Form::Lines),
        _ => None,
    }
}

/// The innermost cause of an error, which names neither the address nor a credential in it.
fn cause(error: &reqwest::Error) -> String {
    let mut cause = std::error::Error::source(error);
    let mut text = "the request failed".to_owned();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

/// The beginning of an answer.
async fn beginning(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < SHOWN_ANSWER {
        match timeout(Duration::from_secs(1), answer.chunk()).await {
            Ok(Ok(Some(piece))) => bytes.extend_from_slice(&piece),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    shorten(text.trim()).into_owned()
}
