//! Which list a request asks for, in its query string.

use ltm_store::Listing;
use ltm_types::LtmId;

use super::{problem::ProblemResponse, query::Parameters};

/// Rows on a page: by default, and at most.
const MAX_ROWS: u64 = 1000;

/// Which list a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// The LTMs of the playground, or the others.
    pub playground: bool,
    /// Only those of this class.
    pub fqn: Option<String>,
    /// At most so many, from 1.
    pub limit: usize,
    /// Only those with lower ids.
    pub before: Option<LtmId>,
}

impl ListQuery {
    /// Reads `playground`, `fqn`, `limit` and `before`.
    ///
    /// # Errors
    ///
    /// The problem with the first of them that cannot be.
    pub fn read(parameters: &Parameters) -> Result<Self, ProblemResponse> {
        let playground = parameters.flag("playground")?;
        let limit = parameters.number("limit", 1, MAX_ROWS)?.unwrap_or(MAX_ROWS);
        let before = parameters.number("before", 1, u64::MAX)?;
        Ok(Self {
            playground,
            fqn: parameters.text("fqn").map(Into::into),
            // At most a thousand.
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            before: before.and_then(|id| LtmId::new(id).ok()),
        })
    }

    /// The same, for the store.
    pub fn listing(&self) -> Listing<'_> {
        Listing {
            playground: self.playground,
            fqn: self.fqn.as_deref(),
            limit: self.limit,
            before: self.before,
        }
    }
}
