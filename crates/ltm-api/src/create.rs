//! `POST /ltm`: creates an LTM.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_service::{ProblemResponse, Span};
use ltm_store::{
    CreateError, Idempotency, NewLtm, RetentionOverride, State, fingerprint, patch::Limits,
};
use ltm_types::{Cursor, Entry, Kind, LtmId, Problem, ProblemKind, now};
use serde::Deserialize;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    Api, access, append,
    body::{self, Shape, carried},
    change::{self, Change},
    headers,
    write::carried as traced,
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
    /// The first snapshot, for a history that began elsewhere.
    #[serde(borrow)]
    snapshot: Option<append::Body<'a>>,
    #[serde(borrow)]
    concurrent_instances: Option<&'a RawValue>,
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
    let bytes = body::read(&request, payload, &api).await?;
    let mut body: Body<'_> = body::parse(&bytes)?;
    if !(1..=MAX_FQN).contains(&body.fqn.len()) {
        let detail = format!("`fqn` must name the LTM's class in 1 to {MAX_FQN} bytes");
        return Err(Problem::new(ProblemKind::InvalidRequest, detail)
            .with_field("fqn")
            .into());
    }
    access::caller(&api, &request)?.may_create(&body.fqn, body.id)?;
    let limits = api.settings().limits();
    let params = carried(
        "params",
        body.params,
        "null",
        Shape::Object,
        limits.max_depth,
    )?;
    let instances = carried(
        "concurrent_instances",
        body.concurrent_instances,
        "{}",
        Shape::Object,
        limits.max_depth,
    )?;
    let created_at = body::time(body.time.as_deref())?.unwrap_or_else(now);
    let step = match body.snapshot.take() {
        Some(snapshot) => {
            body.has_no_start()?;
            append::Step::read(snapshot, &limits)?
        }
        None => start(&body, &params, &limits)?,
    };
    let step = append::Step {
        time: step.time.or_else(|| Some(created_at.clone())),
        ..step
    };
    let mut state = State {
        retention: body.retention,
        ..State::default()
    };
    let first = step.draft(&mut state, &limits)?;
    let span = Span::redis("EVALSHA", "create");
    let payload = traced(span.as_ref(), first.payload);
    let entry = Entry::after(Cursor::ORIGIN, Kind::Snapshot, payload);
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
        concurrent_instances: instances.get(),
        status: state.status(),
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
    drop(span);
    if !created.replayed {
        api.metrics().created(entry.payload.len());
        state.advance_made(&entry);
        api.states().keep(created.id, state);
    }
    let mut answer = HttpResponse::Ok();
    if created.replayed {
        answer.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(answer.json(json!({"id": created.id, "cursor": created.cursor})))
}

/// Snapshot 0: from nothing to the first state.
fn start(
    body: &Body<'_>,
    params: &RawValue,
    limits: &Limits,
) -> Result<append::Step, ProblemResponse> {
    let depth = limits.max_depth;
    let payload = carried("payload", body.payload, "{}", Shape::Object, depth)?;
    let playground = body.playground.unwrap_or(false);
    let item = format!(r#"{{"payload":{payload},"params":{params},"playground":{playground}}}"#);
    let empty = change::text(&[])?;
    Ok(append::Step {
        reason: "start".into(),
        time: None,
        item: RawValue::from_string(item).map_err(internal)?,
        execute_queue: empty.clone(),
        transitions_queue: empty,
        change: Change::State(match body.state {
            Some(state) => change::object("state", state, limits)?,
            None => Map::new(),
        }),
    })
}

impl Body<'_> {
    /// What the first snapshot holds cannot be said twice.
    fn has_no_start(&self) -> Result<(), ProblemResponse> {
        let field = match (self.state, self.payload) {
            (Some(_), _) => "state",
            (_, Some(_)) => "payload",
            (None, None) => return Ok(()),
        };
        let detail = format!("`snapshot` is the first snapshot; leave `{field}` out beside it");
        Err(Problem::new(ProblemKind::InvalidRequest, detail)
            .with_field(field)
            .into())
    }
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
