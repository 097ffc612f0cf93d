//! Reads the bodies of pages, within the limits of size, time and memory.

use actix_web::{HttpRequest, http::header, web};
use futures_util::StreamExt;
use ltm_service::ProblemResponse;
use ltm_settings::bytes;
use ltm_state::{
    Limits,
    json::{self, memory_of},
    patch::MAX_DEPTH,
};
use ltm_store::apart;
use ltm_types::{Problem, ProblemKind};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::page::invalid;
use crate::proxy::{
    inputs::{Input, Share, UsedUp},
    recorder_service::RecorderService,
};

/// A body up to this size needs no share of `agui.inputs`.
const SMALL: usize = 64 * 1024;
/// Neither does one whose values take no more memory than this.
const SMALL_VALUES: usize = 1024 * 1024;

/// Reads a body that is a JSON object. The credential of the page was checked before.
pub(super) async fn object(
    request: &HttpRequest,
    service: &RecorderService,
    body: web::Payload,
) -> Result<Input, ProblemResponse> {
    let limit = service.settings().input_timeout;
    let read = timeout(limit, collect(request, service, body)).await;
    let (text, body) = read.unwrap_or_else(|_| {
        service.limits().hit("agui.input_timeout");
        let detail = format!("the body did not arrive within {limit:?} (`agui.input_timeout`)");
        Err(Problem::new(ProblemKind::RequestTimeout, detail).into())
    })?;
    let length = text.len();
    let (text, memory) = apart(length, move || checked(text))
        .await
        .map_err(|detail| invalid("", &detail))?;
    check_memory(service, memory)?;
    let mut share = service.inputs().of_values();
    if length > SMALL || memory > SMALL_VALUES {
        let resized = share.resize(memory).await;
        resized.map_err(|e| used_up(service, e))?;
    }
    let parsed = apart(length, move || {
        json::read_checked::<Map<String, Value>>(&text)
    });
    let members = parsed
        .await
        .map_err(|e| invalid("", &format!("the body is no JSON object: {e}")))?;
    drop(body);
    Ok(Input {
        members,
        size: length.max(memory),
        share,
    })
}

async fn collect(
    request: &HttpRequest,
    service: &RecorderService,
    mut body: web::Payload,
) -> Result<(Vec<u8>, Share), ProblemResponse> {
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|it| it.to_str().ok()?.parse().ok());
    let max = bytes(service.settings().max_input);
    check_size(service, declared.unwrap_or(0))?;
    let (mut read, mut share) = (Vec::new(), service.inputs().of_body());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|e| invalid("", &e.to_string()))?;
        let size = read.len() + piece.len();
        check_size(service, size)?;
        if size > SMALL && share.bytes() == 0 {
            // All at once: bodies that wait for each other in the middle would never end.
            let resized = share.resize(declared.unwrap_or(max)).await;
            resized.map_err(|e| used_up(service, e))?;
        }
        read.extend_from_slice(&piece);
    }
    Ok((read, share))
}

/// The text of a body, and what its values take in memory.
fn checked(body: Vec<u8>) -> Result<(String, usize), String> {
    let text = String::from_utf8(body).map_err(|e| e.to_string())?;
    // The depth first: everything that reads JSON remembers what is open.
    json::compact(&text, MAX_DEPTH).map_err(|e| format!("the body is no JSON object: {e}"))?;
    let memory = memory_of(&text);
    Ok((text, memory))
}

fn check_size(service: &RecorderService, size: usize) -> Result<(), ProblemResponse> {
    let max = bytes(service.settings().max_input);
    if size <= max {
        return Ok(());
    }
    service.limits().hit("agui.max_input");
    let detail = format!("the body has more than {max} bytes (`agui.max_input`)");
    Err(Problem::new(ProblemKind::BodyTooLarge, detail).into())
}

fn check_memory(service: &RecorderService, memory: usize) -> Result<(), ProblemResponse> {
    let max = bytes(service.settings().max_input);
    let most = Limits::of_state(max, MAX_DEPTH, 0).max_memory;
    if memory <= most {
        return Ok(());
    }
    service.limits().hit("agui.max_input");
    let detail = format!(
        "the body would take about {memory} bytes of memory, and {most} are allowed (`agui.max_input`)"
    );
    Err(Problem::new(ProblemKind::BodyTooLarge, detail).into())
}

fn used_up(service: &RecorderService, _: UsedUp) -> ProblemResponse {
    service.limits().hit("agui.inputs");
    let detail = "the inputs of pages take as much memory as allowed (`agui.inputs`); try again";
    Problem::new(ProblemKind::OverLimit, detail).into()
}
