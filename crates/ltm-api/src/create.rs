//! `POST /ltm`: creates an LTM.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_docs::problems::CreateProblems;
use ltm_service::{ProblemResponse, Span};
use ltm_state::{Change, Limits, RetentionOverride, State, change::object};
use ltm_store::{CreateError, Idempotency, NewLtm, fingerprint};
use ltm_types::{Cursor, Entry, Kind, LtmId, Problem, ProblemKind, now};
use serde::Deserialize;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use utoipa::ToSchema;

use crate::answers::{Created, Retained};
use crate::{
    Api, access, append,
    body::{self, Object, Shape, carried},
    change::{self, field_problem},
    headers,
    states::Cached,
    write::carried as traced,
};

#[derive(Deserialize, ToSchema)]
#[schema(as = Creation, example = json!({"fqn": "app.Agent", "state": {"n": 0}}))]
struct Body<'a> {
    /// The LTM's class.
    #[schema(min_length = 1, max_length = 1024)]
    fqn: String,
    /// Its name; that of `structure`, or the last word of its class, where it is left out.
    name: Option<String>,
    /// What it was started with.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    params: Option<&'a RawValue>,
    /// What it was started for.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    payload: Option<&'a RawValue>,
    /// Whether it is of the playground's list.
    playground: Option<bool>,
    /// The machine: `name`, `fqn`, and what it is made of.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    structure: Option<&'a RawValue>,
    /// The state that it begins with.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    state: Option<&'a RawValue>,
    /// The first snapshot, for a history that began elsewhere.
    #[serde(borrow)]
    #[schema(value_type = Option<append::Body<'a>>)]
    snapshot: Option<Object<append::Body<'a>>>,
    /// Which instances of parameterised machines there are.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    concurrent_instances: Option<&'a RawValue>,
    /// An id of the caller's choice, which was never used.
    #[schema(value_type = Option<u64>, minimum = 1)]
    id: Option<LtmId>,
    /// When it was created: RFC 3339; now where it is left out.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// What is kept of it, where that is not what the settings say.
    #[serde(default)]
    #[schema(value_type = Retained, required = false)]
    retention: Object<RetentionOverride>,
}

/// The longest name of a class: it is part of the name of a list.
const MAX_FQN: usize = 1024;

#[utoipa::path(
    post,
    path = "/api/v0/ltm",
    tag = "LTMs",
    summary = "Create an LTM",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Creates one LTM, however often it is sent", min_length = 1, max_length = 255, nullable = false),
    ),
    request_body = Body,
    responses(
        (status = 200, description = "It is there, with its first snapshot", body = Created, headers(
            ("Idempotent-Replayed" = String, description = "`true` where this is the answer to an earlier request with this key"),
        )),
        CreateProblems,
    ),
)]
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
        Some(Object(snapshot)) => {
            body.has_no_start()?;
            append::Step::read(snapshot, &limits)?
        }
        None => start(&body, &params, &limits)?,
    };
    let step = append::Step {
        time: step.time.or_else(|| Some(created_at.clone())),
        ..step
    };
    let mut state = State::default();
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
        retention: body.retention.0,
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
        let mut cached = Cached::new(state, body.retention.0);
        cached.advance(&entry);
        api.states().keep(created.id, cached);
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
            Some(state) => object("state", state, limits).map_err(|e| field_problem(&e))?,
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
