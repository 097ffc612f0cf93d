//! `POST /ltm`: creates an LTM, or finds the LTM with a key.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::problems::CreateProblems;
use ltm_service::{Parameters, ProblemResponse};
use ltm_store::{Idempotency, fingerprint};
use ltm_types::{Cursor, LtmId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    body_budget::Share,
    http::{authorize, body, headers, problem::invalid, write_call::mark_replayed},
    writer::{Creation, CreationFields},
};

/// The answer to a creation.
#[derive(Serialize, ToSchema)]
struct Created {
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The cursor to follow from.
    #[schema(value_type = String)]
    cursor: Cursor,
    /// Whether the LTM is new. If it is not, it had the `key` before, and the rest of the request changed nothing.
    created: bool,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm",
    tag = "LTMs",
    summary = "Create an LTM, or get the LTM with a key",
    params(
        ("reuse" = Option<bool>, Query, description = "If the LTM with this `key` was deleted, gives the key to a new LTM", nullable = false),
        ("Idempotency-Key" = Option<String>, Header, description = "Creates one LTM, however often it is sent", min_length = 1, max_length = 255, nullable = false),
        ("Ltm-Producer" = Option<String>, Header, description = "`name;epoch=7`: once a higher epoch has written, writes of a lower one are rejected", nullable = false),
    ),
    request_body = CreationFields,
    responses(
        (status = 200, description = "The LTM exists. If it is not new, `cursor` is its current one", body = Created, headers(
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
    if request.headers().contains_key(header::IF_MATCH) {
        let detail =
            "If-Match names the cursor of an LTM, and a new LTM has none yet; leave it out";
        return Err(invalid("If-Match", detail));
    }
    let key = headers::idempotency_key(&request)?;
    let producer = headers::producer(&request)?;
    let mut bytes = body::read(&request, payload, &api).await?;
    let (caller, limits) = (authorize::caller(&api, &request)?, api.settings().limits());
    let key = key.map(|key| authorize::key_of(&api, &caller, key));
    let reuse = Parameters::of(&request)?.flag("reuse")?;
    let read = move |bytes: &[u8], share: &mut Share| {
        let fields: CreationFields<'_> = body::parse(bytes)?;
        // A grant for an id does not reserve a key of a class.
        let id = fields.id.filter(|_| fields.key.is_none());
        caller.may_create(&fields.fqn, id)?;
        share.add(fields.memory())?;
        Ok(Creation::read(fields, reuse, limits)?)
    };
    let creation = bytes.read(&api, read).await?;
    let idempotency = key.as_deref().map(|key| Idempotency {
        key,
        fingerprint: fingerprint(&[&bytes]),
    });
    let created = api
        .writer()
        .create(creation, idempotency, producer.as_ref())
        .await?;
    let mut response = HttpResponse::Ok();
    mark_replayed(&mut response, created.replayed);
    Ok(response.json(Created {
        id: created.id,
        cursor: created.cursor,
        created: created.is_new,
    }))
}
