//! `GET /ltm/{id}`: the document; `GET /ltm/{id}/state`.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_service::ProblemResponse;
use ltm_types::{Cursor, LtmId, Problem, ProblemKind};
use serde_json::json;

use crate::{
    Api, headers,
    query::{self, Parameters},
    snapshots::Snapshots,
};

/// A state as text, and what it is as of.
struct Read {
    cursor: Cursor,
    snapshots_count: u64,
    text: String,
}

/// The state as it is in Redis now.
async fn read_state(api: &Api, id: LtmId) -> Result<Read, ProblemResponse> {
    let read = async |mut turn: crate::states::Turn<'_>| {
        let state = turn.take_current().await?;
        let read = Read {
            cursor: state.position(),
            snapshots_count: state.snapshots_count,
            text: state.text(),
        };
        turn.put(state);
        Ok(read)
    };
    api.states().with(id, read).await
}

pub(crate) async fn document(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = query::ltm_id(&request)?;
    let rollbacks = Parameters::of(&request)?.flag("rollbacks")?;
    let Read {
        cursor,
        snapshots_count,
        text,
    } = read_state(&api, id).await?;
    let tag = (header::ETAG, format!("\"{cursor}\""));
    if headers::if_none_match(&request).contains(&cursor) {
        return Ok(HttpResponse::NotModified().insert_header(tag).finish());
    }
    let meta = api.store().meta(id).await?;
    let (name, fqn) = (json!(meta.name), json!(meta.fqn));
    let head =
        format!(r#"{{"id":{id},"cursor":"{cursor}","name":{name},"state":{text},"snapshots":["#);
    let tail = format!(
        concat!(
            r#"],"fqn":{},"params":{},"structure":{},"concurrent_instances":{{}},"#,
            r#""created_at":"{}","updated_at":"{}","errors":[],"snapshots_count":{}{}}}"#
        ),
        fqn,
        meta.params,
        meta.structure,
        meta.created_at,
        meta.updated_at,
        snapshots_count,
        if rollbacks { r#","rollbacks":[]"# } else { "" },
    );
    let walk = Snapshots::new(api.store().history(id, 0, cursor), 0, 0, snapshots_count);
    let body = walk.stream(head, tail).await?;
    Ok(HttpResponse::Ok()
        .insert_header(tag)
        .content_type("application/json")
        .streaming(body))
}

pub(crate) async fn state(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = query::ltm_id(&request)?;
    let index = Parameters::of(&request)?.number("index", 0, u64::MAX - 1)?;
    let read = match index {
        None => read_state(&api, id).await?,
        Some(index) => {
            let state = api.store().state_at(id, index).await?.ok_or_else(|| {
                let detail = format!("LTM {id} has no snapshot {index} (yet)");
                Problem::new(ProblemKind::InvalidRequest, detail).with_field("index")
            })?;
            Read {
                cursor: state.position(),
                snapshots_count: state.snapshots_count,
                text: state.text(),
            }
        }
    };
    let Read {
        cursor,
        snapshots_count,
        text,
    } = read;
    let index = snapshots_count.saturating_sub(1);
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, format!("\"{cursor}\"")))
        .content_type("application/json")
        .body(format!(
            r#"{{"id":{id},"cursor":"{cursor}","index":{index},"state":{text}}}"#
        )))
}
