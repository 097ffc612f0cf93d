//! `GET /ltm/{id}`: the document.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse};
use ltm_store::Meta;
use serde_json::json;

use crate::answers::Document;
use crate::{
    Api, headers,
    known::{Known, despite_trims},
    parts::{Part, Parts},
    path,
};

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}",
    tag = "LTMs",
    summary = "The document: state, history, errors, and the cursor to follow from",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("rollbacks" = Option<bool>, Query, description = "Whether to say what rollbacks took out", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "A cursor: 304 where the LTM is still there", nullable = false),
    ),
    responses(
        (status = 200, description = "The document", body = Document, headers(("ETag" = String, description = "The cursor"))),
        (status = 304, description = "Nothing has changed since"),
        ReadProblems,
    ),
)]
pub(crate) async fn document(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    despite_trims(async || read(&request, &api).await).await
}

async fn read(request: &HttpRequest, api: &Api) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(request)?;
    let rollbacks = Parameters::of(request)?.flag("rollbacks")?;
    let (known, state) = Known::with_state(api, id).await?;
    let cursor = known.cursor;
    let tag = (header::ETAG, format!("\"{cursor}\""));
    if headers::if_none_match(request).contains(&cursor) {
        return Ok(HttpResponse::NotModified().insert_header(tag).finish());
    }
    let meta = api.store().meta(id).await?;
    let parts = parts(api, known, &state, &meta, rollbacks).await?;
    Ok(HttpResponse::Ok()
        .insert_header(tag)
        .content_type("application/json")
        .streaming(parts.stream().await?))
}

/// What the document is made of.
async fn parts(
    api: &Api,
    known: Known,
    state: &str,
    meta: &Meta,
    rollbacks: bool,
) -> Result<Parts, ProblemResponse> {
    let branch = known.index.branch();
    let (first, count) = (branch.first_index(), branch.count());
    let mut parts = Parts::new(api.store().clone(), known.id);
    let (id, cursor, name) = (known.id, known.cursor, json!(meta.name));
    parts.text(format!(
        r#"{{"id":{id},"cursor":"{cursor}","name":{name},"state":{state},"snapshots":["#
    ));
    if branch.trimmed > 0 {
        parts.text(known.trimmed(api, &branch).await?);
    }
    parts.snapshots(branch.spans);
    let source = meta
        .source
        .map_or_else(String::new, |source| format!(r#","source_id":{source}"#));
    parts.text(format!(
        concat!(
            r#"],"first_index":{},"fqn":{},"params":{},"structure":{},"concurrent_instances":{},"#,
            r#""created_at":"{}","updated_at":"{}","snapshots_count":{}{},"errors":["#
        ),
        first,
        json!(meta.fqn),
        meta.params,
        meta.structure,
        meta.concurrent_instances,
        meta.created_at,
        meta.updated_at,
        count,
        source,
    ));
    let errors = known.index.errors();
    parts.push(Part::Errors(
        errors.into_iter().map(|(_, place)| place).collect(),
        false,
    ));
    if rollbacks {
        let first = known.index.origin().rollbacks;
        parts.text(format!(r#"],"first_rollback":{first},"rollbacks":["#));
        parts.rollbacks(known);
    }
    parts.push(Part::Check(cursor));
    parts.text("]}");
    Ok(parts)
}
