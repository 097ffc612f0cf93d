//! Reading the body of a request.

use std::{fmt, marker::PhantomData, ops::Deref, sync::Arc};

use actix_web::{HttpMessage, HttpRequest, web::Payload};
use bytesize::ByteSize;
use futures_util::StreamExt;
use ltm_service::{ProblemResponse, limit_reached};
use ltm_state::json;
pub(crate) use ltm_state::json::Shape;
use ltm_types::{Problem, ProblemKind, canonical_time};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Api, change::field_problem, settings::bytes};

/// The room for the bodies of all requests that are under way.
pub(crate) struct Room {
    bytes: Arc<Semaphore>,
}

/// A body. Its room is given back with it.
#[derive(Default)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    pub(crate) fn new(size: ByteSize) -> Self {
        let size = bytes(size).min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(size)),
        }
    }

    /// Lengthens `body` by `chunk`, where there is room.
    fn add(&self, body: &mut Body, chunk: &[u8]) -> Result<(), ProblemResponse> {
        let wanted = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let Ok(more) = self.bytes.clone().try_acquire_many_owned(wanted) else {
            limit_reached("api.bodies");
            let detail =
                "the requests that are under way take as much memory as allowed (api.bodies)";
            return Err(Problem::new(ProblemKind::OverLimit, detail).into());
        };
        match &mut body.room {
            Some(room) => room.merge(more),
            None => body.room = Some(more),
        }
        body.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// Reads a body that is declared as JSON, within the limits of size and time.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    api: &Api,
) -> Result<Body, ProblemResponse> {
    let declared = request.content_type().to_ascii_lowercase();
    if declared != "application/json"
        && !(declared.starts_with("application/") && declared.ends_with("+json"))
    {
        let detail =
            format!("the body is declared as {declared:?}; send Content-Type: application/json");
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail)
            .with_field("Content-Type")
            .into());
    }
    let limit = api.settings().body_timeout;
    let late = |_| {
        limit_reached("api.body_timeout");
        let detail = format!("the body did not arrive within {limit:?} (api.body_timeout)");
        ProblemResponse(Problem::new(ProblemKind::RequestTimeout, detail))
    };
    timeout(limit, collect(payload, api)).await.map_err(late)?
}

async fn collect(mut payload: Payload, api: &Api) -> Result<Body, ProblemResponse> {
    let max = api.settings().max_body;
    let mut body = Body::default();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| {
            let detail = format!("the body broke off: {e}");
            Problem::new(ProblemKind::InvalidRequest, detail)
        })?;
        if body.len() + chunk.len() > bytes(max) {
            limit_reached("api.max_body");
            let detail = format!("the body is larger than {max} (api.max_body)");
            return Err(Problem::new(ProblemKind::BodyTooLarge, detail).into());
        }
        api.room().add(&mut body, &chunk)?;
    }
    Ok(body)
}

/// What has to come as a JSON object: read by itself, fields would be taken from an array, too, by their order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Reads the fields of a body; a field that is wrong is named.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ProblemResponse> {
    // The parser does not look into strings that nobody asks for.
    let text = std::str::from_utf8(body).map_err(|e| {
        let detail = format!("the body is not UTF-8 from byte {} on", e.valid_up_to());
        ProblemResponse(Problem::new(ProblemKind::InvalidRequest, detail))
    })?;
    // To follow where the parser is takes time, which only a body that is wrong has to take.
    if let Ok(Object(read)) = serde_json::from_str(text) {
        return Ok(read);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Object(read) = serde_path_to_error::deserialize(&mut deserializer).map_err(|e| {
        let field = e.path().to_string();
        let problem = Problem::new(ProblemKind::InvalidRequest, e.inner().to_string());
        ProblemResponse(if field == "." {
            problem
        } else {
            problem.with_field(field)
        })
    })?;
    deserializer
        .end()
        .map_err(|e| ProblemResponse(Problem::new(ProblemKind::InvalidRequest, e.to_string())))?;
    Ok(read)
}

/// The field `time`, in the one spelling that entries have.
pub(crate) fn time(text: Option<&str>) -> Result<Option<String>, ProblemResponse> {
    text.map(canonical_time).transpose().map_err(|e| {
        Problem::new(ProblemKind::InvalidRequest, format!("`time`: {e}"))
            .with_field("time")
            .into()
    })
}

/// The text of a field that the log carries as it is: see [`json::passthrough`].
pub(crate) fn carried(
    field: &'static str,
    value: Option<&RawValue>,
    absent: &str,
    shape: Shape,
    max_depth: usize,
) -> Result<Box<RawValue>, ProblemResponse> {
    json::passthrough(field, value, absent, shape, max_depth).map_err(|e| field_problem(&e))
}
