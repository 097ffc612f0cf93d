//! `POST /ltm`: creates an LTM.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_service::ProblemResponse;
use ltm_store::{
    CreateError, Idempotency, NewLtm, RetentionOverride, State, diff, fingerprint, patch::Tree,
};
use ltm_types::{Cursor, Entry, Kind, LtmId, Problem, ProblemKind, Snapshot, now};
use serde::Deserialize;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    Api,
    body::{self, Shape, carried},
    change, headers,
};

#[derive(Deserialize)]
struct Body<'a> {
    fqn: String,
    name: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    playground: Option<bool>,
    #[serde(borrow)]
    structure: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    id: Option<LtmId>,
    time: Option<String>,
    #[serde(default)]
    retention: RetentionOverride,
}

/// The longest name of a class: it is part of the name of a list.
const MAX_FQN: usize = 1024;

pub(crate) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let key = headers::idempotency_key(&request)?;
    let bytes = body::read(&request, payload, api.settings()).await?;
    let body: Body<'_> = body::parse(&bytes)?;
    if !(1..=MAX_FQN).contains(&body.fqn.len()) {
        let detail = format!("`fqn` must name the LTM's class in 1 to {MAX_FQN} bytes");
        return Err(Problem::new(ProblemKind::InvalidRequest, detail)
            .with_field("fqn")
            .into());
    }
    let limits = api.settings().limits();
    let members = match body.state {
        Some(state) => change::object("state", state, &limits)?,
        None => Map::new(),
    };
    let params = carried(
        "params",
        body.params,
        "null",
        Shape::Object,
        limits.max_depth,
    )?;
    let created_at = body::time(body.time.as_deref())?.unwrap_or_else(now);
    let entry = first_entry(&body, &params, &members, &created_at, limits.max_depth)?;
    let (name, structure) = identity(&body, limits.max_depth)?;
    let new = NewLtm {
        id: body.id,
        name: &name,
        fqn: &body.fqn,
        params: if params.get() == "null" {
            "{}"
        } else {
            params.get()
        },
        structure: structure.get(),
        playground: body.playground.unwrap_or(false),
        created_at: &created_at,
        retention: body.retention,
        first: &entry,
    };
    let idempotency = key.map(|key| Idempotency {
        key,
        fingerprint: fingerprint(&[&bytes]),
    });
    let created = api
        .store()
        .create(&new, idempotency)
        .await
        .map_err(refusal)?;
    if !created.replayed {
        let mut state = State {
            tree: Tree::new(Value::Object(members)),
            retention: body.retention,
            ..State::default()
        };
        state.advance(&entry);
        api.states().keep(created.id, state);
    }
    let mut answer = HttpResponse::Ok();
    if created.replayed {
        answer.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(answer.json(json!({"id": created.id, "cursor": created.cursor})))
}

/// Snapshot 0: from nothing to the first state.
fn first_entry(
    body: &Body<'_>,
    params: &RawValue,
    members: &Map<String, Value>,
    time: &str,
    max_depth: usize,
) -> Result<Entry, ProblemResponse> {
    let payload = carried("payload", body.payload, "{}", Shape::Object, max_depth)?;
    let playground = body.playground.unwrap_or(false);
    let item = format!(r#"{{"payload":{payload},"params":{params},"playground":{playground}}}"#);
    let item = RawValue::from_string(item).map_err(internal)?;
    let empty = RawValue::from_string("[]".into()).map_err(internal)?;
    let snapshot = Snapshot {
        time,
        reason: "start",
        item: &item,
        patch: &change::text(&diff::diff(&Map::new(), members))?,
        execute_queue: &empty,
        transitions_queue: &empty,
    };
    let payload = change::written(&snapshot)?;
    Ok(Entry::after(Cursor::ORIGIN, Kind::Snapshot, payload))
}

/// The LTM's name and structure, made from what there is where they were not given: pages that show
/// an LTM need both.
fn identity(body: &Body<'_>, max_depth: usize) -> Result<(String, Box<RawValue>), ProblemResponse> {
    let structure = carried("structure", body.structure, "{}", Shape::Object, max_depth)?;
    let mut members: Map<String, Value> = body::parse(structure.get().as_bytes())?;
    let named = members.get("name").and_then(Value::as_str);
    let last_word = body.fqn.rsplit('.').next().unwrap_or(&body.fqn);
    let name = body
        .name
        .as_deref()
        .or(named)
        .unwrap_or(last_word)
        .to_owned();
    if members.contains_key("name") && members.contains_key("fqn") {
        return Ok((name, structure));
    }
    for key in ["name", "fqn"] {
        members.entry(key).or_insert_with(|| name.as_str().into());
    }
    Ok((name, to_raw_value(&members).map_err(internal)?))
}

fn internal(error: serde_json::Error) -> ProblemResponse {
    Problem::new(
        ProblemKind::Internal,
        format!("JSON cannot be written: {error}"),
    )
    .into()
}

fn refusal(error: CreateError) -> ProblemResponse {
    let detail = error.to_string();
    match error {
        CreateError::Taken(_) => Problem::new(ProblemKind::IdTaken, detail)
            .with_field("id")
            .into(),
        CreateError::KeyReused => Problem::new(ProblemKind::KeyReused, detail)
            .with_field("Idempotency-Key")
            .into(),
        CreateError::Store(error) => error.into(),
    }
}
