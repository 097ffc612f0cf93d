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

fn key_in_path(request: &HttpRequest) -> Result<LtmKey, ProblemResponse> {
    let (fqn, key) = (path_segment(request, "fqn"), path_segment(request, "key"));
    LtmKey::from_segments(fqn, key).map_err(|e| invalid(e.field(), e.to_string()))
}

/// A parameter of the path as the client sent it, still encoded; empty if the route has no such parameter. The router
/// has decoded its parameters and has replaced what is not UTF-8, so two different keys would be one.
pub fn path_segment<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    let pattern = request.match_pattern().unwrap_or_default();
    let is_named =
        |it: &str| it.strip_prefix('{').and_then(|it| it.strip_suffix('}')) == Some(name);
    let mut pairs = pattern.split('/').zip(request.uri().path().split('/'));
    let found = pairs.find(|(it, _)| is_named(it));
    found.map_or("", |(_, segment)| segment)
}

fn invalid(field: &str, detail: String) -> ProblemResponse {
    Problem::new(ProblemKind::InvalidRequest, detail)
        .with_field(field)
        .into()
}
