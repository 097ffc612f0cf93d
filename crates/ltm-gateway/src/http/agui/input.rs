//! The body of an AG-UI request. A client sends all messages and the whole state that it holds; the gateway needs its ids
//! only.

use std::borrow::Cow;

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::{
    sync::SemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

use crate::{fanout::worker::Worker, settings::bytes};

/// A body up to this size is read at once; larger ones take turns.
const SMALL: usize = 64 * 1024;

/// A client that has a turn sends this much within `gateway.agui_input_pause`, or loses it. A slower one could not send much
/// more than [`SMALL`] in time anyway.
const PROGRESS: usize = 16 * 1024;

/// What the gateway reads of a `RunAgentInput`.
#[derive(Debug, Default)]
pub(super) struct RunInput {
    pub thread_id: Option<String>,
    pub run_id: Option<String>,
    pub protocol_version: Option<String>,
    /// The cursor in `forwardedProps.ltm.after`.
    pub after: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    thread_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    run_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    forwarded_props: Option<&'a RawValue>,
}

/// The members of `forwardedProps` for this service.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ForwardedProps {
    ltm: LtmProps,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LtmProps {
    after: Option<String>,
}

/// A call of the single endpoint.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    params: Params,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// The parameters of a call of the single endpoint.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Params {
    pub agent_id: Option<String>,
}

impl RunInput {
    /// Reads the body of a request; all is absent if it is empty.
    ///
    /// # Errors
    ///
    /// The body is too large, late, or not a JSON object.
    pub(super) async fn read(payload: Payload, worker: &Worker) -> Result<Self, ProblemResponse> {
        Self::of(&body(payload, worker).await?)
    }

    fn of(text: &[u8]) -> Result<Self, ProblemResponse> {
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let wire: Wire<'_> = parse(text)?;
        let props = wire.forwarded_props.map(lenient::<ForwardedProps>);
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Ok(Self {
            thread_id: owned(wire.thread_id),
            run_id: owned(wire.run_id),
            protocol_version: owned(wire.protocol_version),
            after: props.and_then(|props| props.ltm.after),
        })
    }
}

/// Reads a call of the single endpoint: its method, its parameters, and the input of the run.
///
/// # Errors
///
/// As [`RunInput::read`].
pub(super) async fn envelope(
    payload: Payload,
    worker: &Worker,
) -> Result<(String, Params, RunInput), ProblemResponse> {
    let text = body(payload, worker).await?;
    let envelope: Envelope<'_> = parse(&text)?;
    let input = RunInput::of(envelope.body.map_or("", RawValue::get).as_bytes())?;
    Ok((envelope.method.into_owned(), envelope.params, input))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, ProblemResponse> {
    let invalid = |error: &str| {
        let detail = format!("the body is not the input of an AG-UI run: {error}");
        ProblemResponse(Problem::new(ProblemKind::InvalidRequest, detail).with_field("body"))
    };
    // serde would read an array as the members in their order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(invalid("it is not a JSON object"));
    }
    serde_json::from_slice(text).map_err(|error| invalid(&error.to_string()))
}

/// What an app forwards is its own business, so another form is no error.
fn lenient<T: DeserializeOwned + Default>(text: &RawValue) -> T {
    serde_json::from_str(text.get()).unwrap_or_default()
}

/// The body, within the limits of size and time.
async fn body(payload: Payload, worker: &Worker) -> Result<Bytes, ProblemResponse> {
    let limit = worker.gateway.settings().agui_input_timeout;
    let read = timeout(limit, collect(payload, worker)).await;
    read.unwrap_or_else(|_| {
        worker.gateway.limits().hit("gateway.agui_input_timeout");
        let detail =
            format!("the body did not arrive within {limit:?} (gateway.agui_input_timeout)");
        Err(Problem::new(ProblemKind::RequestTimeout, detail).into())
    })
}

async fn collect(mut payload: Payload, worker: &Worker) -> Result<Bytes, ProblemResponse> {
    let max = worker.gateway.settings().agui_max_input;
    let (mut read, mut turn) = (BytesMut::new(), None);
    loop {
        let next = payload.next();
        let chunk = match &turn {
            None => next.await,
            Some(Turn { until, .. }) => timeout_at(*until, next).await.map_err(|_| slow(worker))?,
        };
        let Some(chunk) = chunk else {
            return Ok(read.freeze());
        };
        let chunk = chunk.map_err(|error| {
            let detail = format!("the body ended early: {error}");
            Problem::new(ProblemKind::InvalidRequest, detail)
        })?;
        if read.len() + chunk.len() > bytes(max) {
            worker.gateway.limits().hit("gateway.agui_max_input");
            let detail = format!("the body is larger than {max} (gateway.agui_max_input)");
            return Err(Problem::new(ProblemKind::BodyTooLarge, detail).into());
        }
        match &mut turn {
            Some(turn) => turn.count(chunk.len(), worker),
            None if read.len() + chunk.len() > SMALL => turn = Some(Turn::take(worker).await),
            None => {}
        }
        read.extend_from_slice(&chunk);
    }
}

/// A turn to send a large body. A client that sends too little loses it, because others wait for one.
struct Turn<'a> {
    _permit: Option<SemaphorePermit<'a>>,
    /// When it ends, unless the client sends [`PROGRESS`] before.
    until: Instant,
    progress: usize,
}

impl<'a> Turn<'a> {
    async fn take(worker: &'a Worker) -> Self {
        Self {
            _permit: worker.gateway.large_inputs().acquire().await.ok(),
            until: Self::end(worker),
            progress: 0,
        }
    }

    fn count(&mut self, bytes: usize, worker: &Worker) {
        self.progress += bytes;
        if self.progress >= PROGRESS {
            (self.until, self.progress) = (Self::end(worker), 0);
        }
    }

    fn end(worker: &Worker) -> Instant {
        Instant::now() + worker.gateway.settings().agui_input_pause
    }
}

fn slow(worker: &Worker) -> Problem {
    let pause = worker.gateway.settings().agui_input_pause;
    worker.gateway.limits().hit("gateway.agui_input_pause");
    let detail = format!(
        "less than 16 KiB of a large body arrived within {pause:?} (gateway.agui_input_pause)"
    );
    Problem::new(ProblemKind::RequestTimeout, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_and_the_cursor_are_read_and_the_rest_is_not() {
        let text = r#"{"threadId":"t","runId":"r","state":[[1]],"messages":"?","forwardedProps":{"ltm":{"after":"1-2"}}}"#;
        let input = RunInput::of(text.as_bytes()).unwrap();
        assert_eq!(input.thread_id.as_deref(), Some("t"));
        assert_eq!(input.run_id.as_deref(), Some("r"));
        assert_eq!(input.after.as_deref(), Some("1-2"));
        for other in [
            "",
            " ",
            "{}",
            r#"{"forwardedProps":[1]}"#,
            r#"{"forwardedProps":{"ltm":7}}"#,
        ] {
            assert!(
                RunInput::of(other.as_bytes()).unwrap().after.is_none(),
                "{other}"
            );
        }
        for wrong in ["[", "[]", r#"{"threadId":7}"#] {
            assert!(RunInput::of(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
