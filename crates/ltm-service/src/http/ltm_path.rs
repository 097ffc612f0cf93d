//! The LTM in the path of a request: `…/{id}…`, or `…/by-key/{fqn}/{key}…`.

use actix_web::HttpRequest;
use ltm_types::{LtmKey, LtmRef, Problem, ProblemKind};

use super::problem::ProblemResponse;

/// The LTM that the path of a request names.
///
/// # Errors
///
/// The id is not valid, or class and key are not.
pub fn ltm_in_path(request: &HttpRequest) -> Result<LtmRef, ProblemResponse> {
    let Some(id) = request.match_info().get("id") else {
        return key_in_path(request).map(LtmRef::Key);
    };
    id.parse()
        .map(LtmRef::Id)
        .map_err(|e| invalid("id", format!("{e}")))
}

/// Reads the path as the client sent it. The router has decoded its parameters: it replaces what is not UTF-8, so two
/// different keys would be one.
fn key_in_path(request: &HttpRequest) -> Result<LtmKey, ProblemResponse> {
    let pattern = request.match_pattern().unwrap_or_default();
    let segment = |name: &str| {
        let mut pairs = pattern.split('/').zip(request.uri().path().split('/'));
        let found = pairs.find(|(pattern, _)| *pattern == name);
        found.map_or("", |(_, segment)| segment)
    };
    LtmKey::from_segments(segment("{fqn}"), segment("{key}"))
        .map_err(|e| invalid(e.field(), e.to_string()))
}

fn invalid(field: &str, detail: String) -> ProblemResponse {
    Problem::new(ProblemKind::InvalidRequest, detail)
        .with_field(field)
        .into()
}
