//! The parameters in paths.

use actix_web::HttpRequest;
use ltm_service::ProblemResponse;
use ltm_types::{LtmId, Problem, ProblemKind};

/// The id in the path.
pub(crate) fn ltm_id(request: &HttpRequest) -> Result<LtmId, ProblemResponse> {
    let text = request.match_info().get("id").unwrap_or_default();
    text.parse().map_err(|e| {
        let problem = Problem::new(ProblemKind::InvalidRequest, format!("{e}"));
        problem.with_field("id").into()
    })
}
