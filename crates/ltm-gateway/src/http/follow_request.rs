//! What a client asks for in the path and the query string.

use std::collections::HashMap;

use actix_web::web::Query;
use ltm_service::ProblemResponse;
use ltm_types::{LtmId, Problem, ProblemKind};

use crate::subscriber::subscription::Start;

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct FollowRequest {
    pub(crate) id: LtmId,
    pub(crate) start: Start,
    pub(crate) marker: bool,
}

impl FollowRequest {
    /// The same, from where a browser says that it was (`Last-Event-ID`): its address stays the same when it connects again.
    ///
    /// # Errors
    ///
    /// The problem where that is not a cursor.
    pub(crate) fn after_event(self, id: Option<&str>) -> Result<Self, ProblemResponse> {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Ok(self);
        };
        let cursor = id.parse().map_err(|e| {
            let problem = Problem::new(ProblemKind::InvalidCursor, format!("{e}"));
            ProblemResponse(problem.with_field("Last-Event-ID"))
        })?;
        Ok(Self {
            start: Start::After(cursor),
            ..self
        })
    }

    /// Reads the id in the path and the query string.
    ///
    /// # Errors
    ///
    /// The problem with which the connection is refused.
    pub fn read(id: &str, query: &str) -> Result<Self, ProblemResponse> {
        let id = id.parse().map_err(|e| invalid("id", format!("{e}")))?;
        let query = Query::<HashMap<String, String>>::from_query(query)
            .map_err(|e| invalid("query", e.to_string()))?;
        let parameter = |name| query.get(name).map(String::as_str);
        let start = Self::start(parameter("after"), parameter("init"))?;
        let marker = match parameter("live") {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(other) => return Err(invalid("live", format!("{other:?} is neither 1 nor 0"))),
        };
        Ok(Self { id, start, marker })
    }

    /// Where a client wants to begin.
    ///
    /// # Errors
    ///
    /// The problem with what it says.
    pub(crate) fn start(after: Option<&str>, init: Option<&str>) -> Result<Start, ProblemResponse> {
        Ok(match (after, init) {
            (None, None) => Start::Now,
            (None, Some("state")) => Start::State,
            (Some(cursor), None) => Start::After(cursor.parse().map_err(|e| {
                ProblemResponse(
                    Problem::new(ProblemKind::InvalidCursor, format!("{e}")).with_field("after"),
                )
            })?),
            (None, Some(other)) => {
                return Err(invalid(
                    "init",
                    format!("{other:?} is not known; it can be `state`"),
                ));
            }
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "init",
                    "`init` begins with the state and `after` at a cursor; give one of them".into(),
                ));
            }
        })
    }
}

fn invalid(field: &str, detail: String) -> ProblemResponse {
    ProblemResponse(Problem::new(ProblemKind::InvalidRequest, detail).with_field(field))
}
