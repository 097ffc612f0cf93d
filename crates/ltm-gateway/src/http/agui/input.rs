//! The body of an AG-UI request. A client sends all messages and the whole state that it holds; the gateway needs its ids
//! only.

use std::borrow::Cow;

use actix_web::web::Payload;
use futures_util::StreamExt;
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::sieve::{MAX_TEXT, Members, Sieve, SieveError};
use crate::{fanout::worker::Worker, settings::bytes};

/// The members of a `RunAgentInput` that the gateway reads.
static INPUT: Members = Members(&[
    ("threadId", None),
    ("runId", None),
    ("protocolVersion", None),
    ("forwardedProps", Some(&PROPS)),
]);
static PROPS: Members = Members(&[("ltm", Some(&LTM))]);
static LTM: Members = Members(&[("after", None)]);
/// Those of a call of the single endpoint.
static ENVELOPE: Members = Members(&[
    ("method", None),
    ("params", Some(&PARAMS)),
    ("body", Some(&INPUT)),
]);
static PARAMS: Members = Members(&[("agentId", None)]);

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
        Ok(Self::of(&body(payload, worker, &INPUT).await?)?)
    }

    fn of(text: &[u8]) -> Result<Self, Problem> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let wire: Wire<'_> = parse(text)?;
        let props = wire.forwarded_props.map(lenient::<ForwardedProps>);
        Ok(Self {
            thread_id: short("threadId", wire.thread_id)?,
            run_id: short("runId", wire.run_id)?,
            protocol_version: short("protocolVersion", wire.protocol_version)?,
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
    let text = body(payload, worker, &ENVELOPE).await?;
    let envelope: Envelope<'_> = parse(&text)?;
    let input = RunInput::of(envelope.body.map_or("", RawValue::get).as_bytes())?;
    Ok((envelope.method.into_owned(), envelope.params, input))
}

/// A text that an answer keeps for as long as it takes.
///
/// # Errors
///
/// It is too long.
pub(super) fn short<'a>(
    field: &str,
    text: Option<impl Into<Cow<'a, str>>>,
) -> Result<Option<String>, Problem> {
    let Some(text) = text.map(Into::into) else {
        return Ok(None);
    };
    if text.len() > MAX_TEXT {
        return Err(too_long(field));
    }
    Ok(Some(text.into_owned()))
}

fn too_long(field: &str) -> Problem {
    let detail = format!("`{field}` is longer than {MAX_TEXT} bytes; send a shorter text");
    Problem::new(ProblemKind::InvalidRequest, detail).with_field(field)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Problem> {
    // serde would read an array as the members in their order.
    if !text.starts_with(b"{") {
        return Err(invalid("it is not a JSON object"));
    }
    serde_json::from_slice(text).map_err(|error| invalid(&error.to_string()))
}

fn invalid(error: &str) -> Problem {
    let detail = format!("the body is not the input of an AG-UI run: {error}");
    Problem::new(ProblemKind::InvalidRequest, detail).with_field("body")
}

impl From<SieveError> for ProblemResponse {
    fn from(error: SieveError) -> Self {
        match error {
            SieveError::NoObject => invalid("it is not a JSON object"),
            SieveError::Invalid(why) => invalid(why),
            SieveError::Repeated => invalid("it repeats its members"),
            SieveError::TooLong(path) => too_long(path.strip_prefix("body.").unwrap_or(&path)),
        }
        .into()
    }
}

/// What an app forwards is its own business, so another form is no error.
fn lenient<T: DeserializeOwned + Default>(text: &RawValue) -> T {
    serde_json::from_str(text.get()).unwrap_or_default()
}

/// These members of the body, within the limits of size and time.
async fn body(
    payload: Payload,
    worker: &Worker,
    members: &'static Members,
) -> Result<Vec<u8>, ProblemResponse> {
    let limit = worker.gateway.settings().agui_input_timeout;
    let read = timeout(limit, collect(payload, worker, members)).await;
    read.unwrap_or_else(|_| {
        worker.gateway.limits().hit("gateway.agui_input_timeout");
        let detail =
            format!("the body did not arrive within {limit:?} (gateway.agui_input_timeout)");
        Err(Problem::new(ProblemKind::RequestTimeout, detail).into())
    })
}

async fn collect(
    mut payload: Payload,
    worker: &Worker,
    members: &'static Members,
) -> Result<Vec<u8>, ProblemResponse> {
    let max = worker.gateway.settings().agui_max_input;
    let (mut sieve, mut length) = (Sieve::new(members), 0);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            let detail = format!("the body ended early: {error}");
            Problem::new(ProblemKind::InvalidRequest, detail)
        })?;
        length += chunk.len();
        if length > bytes(max) {
            worker.gateway.limits().hit("gateway.agui_max_input");
            let detail = format!("the body is larger than {max} (gateway.agui_max_input)");
            return Err(Problem::new(ProblemKind::BodyTooLarge, detail).into());
        }
        sieve.push(&chunk)?;
    }
    Ok(sieve.end()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<RunInput, Problem> {
        let mut sieve = Sieve::new(&INPUT);
        sieve
            .push(text.as_bytes())
            .map_err(|error| ProblemResponse::from(error).0)?;
        RunInput::of(
            &sieve
                .end()
                .map_err(|error| ProblemResponse::from(error).0)?,
        )
    }

    #[test]
    fn the_ids_and_the_cursor_are_read_and_the_rest_is_not() {
        let text = r#"{"threadId":"t","runId":"r","state":[[1]],"messages":"?","forwardedProps":{"ltm":{"after":"1-2"}}}"#;
        let input = of(text).unwrap();
        assert_eq!(input.thread_id.as_deref(), Some("t"));
        assert_eq!(input.run_id.as_deref(), Some("r"));
        assert_eq!(input.after.as_deref(), Some("1-2"));
        for other in [
            "",
            " ",
            "{}",
            r#"{"forwardedProps":[1]}"#,
            r#"{"forwardedProps":"x"}"#,
            r#"{"forwardedProps":{"ltm":7}}"#,
        ] {
            assert!(of(other).unwrap().after.is_none(), "{other}");
        }
        for wrong in ["[", "[]", r#"{"threadId":7}"#, r#"{"runId":[]}"#] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_text_that_an_answer_keeps_is_short() {
        for field in ["threadId", "runId", "protocolVersion"] {
            let body = |length| format!(r#"{{"{field}":"{}"}}"#, "x".repeat(length));
            assert!(of(&body(MAX_TEXT)).is_ok());
            for length in [MAX_TEXT + 1, 9_000_000] {
                let problem = of(&body(length)).unwrap_err();
                let problem = serde_json::to_value(&problem).unwrap();
                assert_eq!(problem["field"], field);
            }
        }
    }
}
