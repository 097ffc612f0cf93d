//! `POST /ltm`: creates an LTM.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_docs::problems::CreateProblems;
use ltm_service::ProblemResponse;
use ltm_state::RetentionOverride;
use ltm_store::{Idempotency, fingerprint};
use ltm_types::{Cursor, LtmId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::append::AppendBody;
use crate::{
    Api,
    http::{
        authorize,
        body::{self, Object},
        headers,
        schemas::RetentionRules,
    },
    writer::{Creation, CreationFields},
};

/// An LTM to create.
#[derive(Deserialize, ToSchema)]
#[schema(as = Creation, example = json!({"fqn": "app.Agent", "state": {"n": 0}}))]
struct CreateBody<'a> {
    /// The LTM's class.
    #[schema(min_length = 1, max_length = 1024)]
    fqn: String,
    /// Its name. Default: that of `structure`, or the last word of its class.
    name: Option<String>,
    /// The parameters that it was started with.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    params: Option<&'a RawValue>,
    /// The payload that it was started for.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    payload: Option<&'a RawValue>,
    /// Whether it belongs to the playground's list. Default: false.
    playground: Option<bool>,
    /// The machine: `name`, `fqn`, and its parts.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    structure: Option<&'a RawValue>,
    /// The first state. Default: `{}`.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    state: Option<&'a RawValue>,
    /// The first snapshot, for a history that began elsewhere.
    #[serde(borrow)]
    #[schema(value_type = Option<AppendBody<'a>>)]
    snapshot: Option<Object<AppendBody<'a>>>,
    /// The instances of parameterised machines.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    concurrent_instances: Option<&'a RawValue>,
    /// An id that the caller chooses and that was never used. Default: the next free one.
    #[schema(value_type = Option<u64>, minimum = 1)]
    id: Option<LtmId>,
    /// When it was created (RFC 3339). Default: now.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// What is kept of its log, if that is not what the settings say.
    #[serde(default)]
    #[schema(value_type = RetentionRules, required = false)]
    retention: Object<RetentionOverride>,
}

/// The answer to a creation.
#[derive(Serialize, ToSchema)]
struct Created {
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The cursor to follow from.
    #[schema(value_type = String)]
    cursor: Cursor,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm",
    tag = "LTMs",
    summary = "Create an LTM",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Creates one LTM, however often it is sent", min_length = 1, max_length = 255, nullable = false),
    ),
    request_body = CreateBody,
    responses(
        (status = 200, description = "The LTM exists, with its first snapshot", body = Created, headers(
            ("Idempotent-Replayed" = String, description = "`true` if this is the answer to an earlier request with this key"),
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
    let body: CreateBody<'_> = body::parse(&bytes)?;
    authorize::caller(&api, &request)?.may_create(&body.fqn, body.id)?;
    let creation = Creation::read(body.fields(), api.settings().limits())?;
    let idempotency = key.map(|key| Idempotency {
        key,
        fingerprint: fingerprint(&[&bytes]),
    });
    let created = api.writer().create(&creation, idempotency).await?;
    let mut response = HttpResponse::Ok();
    if created.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.json(Created {
        id: created.id,
        cursor: created.cursor,
    }))
}

impl<'a> CreateBody<'a> {
    fn fields(self) -> CreationFields<'a> {
        CreationFields {
            fqn: self.fqn,
            name: self.name,
            params: self.params,
            payload: self.payload,
            playground: self.playground.unwrap_or(false),
            structure: self.structure,
            state: self.state,
            snapshot: self.snapshot.map(|Object(snapshot)| snapshot.fields()),
            concurrent_instances: self.concurrent_instances,
            id: self.id,
            time: self.time,
            retention: self.retention.0,
        }
    }
}
