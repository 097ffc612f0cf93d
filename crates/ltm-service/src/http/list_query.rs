//! The list that the query string of a request asks for.

use ltm_store::Listing;
use ltm_types::LtmId;

use super::{problem::ProblemResponse, query::Parameters};

/// The rows of a page: the default, and the limit.
const MAX_ROWS: u64 = 1000;

/// The list that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// Whether to list the LTMs of the playground instead of the others.
    pub playground: bool,
    /// Only those of this class.
    pub fqn: Option<String>,
    /// The most rows, at least 1.
    pub limit: usize,
    /// Only those with lower ids.
    pub before: Option<LtmId>,
}

impl ListQuery {
    /// Reads `playground`, `fqn`, `limit` and `before`.
    ///
    /// # Errors
    ///
    /// The first parameter that is wrong.
    pub fn read(parameters: &Parameters) -> Result<Self, ProblemResponse> {
        let playground = parameters.flag("playground")?;
        let limit = parameters.number("limit", 1, MAX_ROWS)?.unwrap_or(MAX_ROWS);
        let before = parameters.number("before", 1, u64::MAX)?;
        Ok(Self {
            playground,
            fqn: parameters.text("fqn").map(Into::into),
            // At most `MAX_ROWS`.
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            before: before.and_then(|id| LtmId::new(id).ok()),
        })
    }

    /// The same list, as the store reads it.
    pub fn listing(&self) -> Listing<'_> {
        Listing {
            playground: self.playground,
            fqn: self.fqn.as_deref(),
            limit: self.limit,
            before: self.before,
        }
    }
}
