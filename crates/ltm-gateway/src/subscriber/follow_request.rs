//! What a client asks for: which LTM, and from which cursor. Every endpoint reads it here, so a value means the
//! same on each of them.

use ltm_service::Parameters;
use ltm_types::{Cursor, LtmRef, Problem, ProblemKind};

/// A request to follow one LTM.
#[derive(Clone, Debug)]
pub struct FollowRequest {
    pub(crate) ltm: LtmRef,
    pub(crate) options: FollowOptions,
}

/// The entry with which a subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the next entry.
    Now,
    /// With the entry after this cursor.
    After(Cursor),
    /// With the current state.
    State,
}

/// How a client wants to follow: the parameters `after`, `init` and `live`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowOptions {
    pub start: Start,
    /// Whether the client asks for a message that says when it has caught up.
    pub live: bool,
}

impl FollowRequest {
    /// Reads the query string. The path names the LTM.
    ///
    /// # Errors
    ///
    /// The problem that names the first parameter that is not valid.
    pub fn read(ltm: LtmRef, query: &str) -> Result<Self, Problem> {
        let options = FollowOptions::read(&Parameters::read(query)?)?;
        Ok(Self { ltm, options })
    }

    /// The same request, continued after the cursor of the last event, which a client that reconnects sends in the
    /// header or parameter of this name: it repeats the URL of its first request.
    ///
    /// # Errors
    ///
    /// The problem if it is no cursor.
    pub(crate) fn after_event(mut self, last: Option<(&str, &str)>) -> Result<Self, Problem> {
        self.options = self.options.after_event(last)?;
        Ok(self)
    }
}

impl FollowOptions {
    /// Reads `after`, `init` and `live`.
    ///
    /// # Errors
    ///
    /// The problem that names the first parameter that is not valid.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let start = match (parameters.given("after"), parameters.given("init")) {
            (None, None) => Start::Now,
            (None, Some("state")) => Start::State,
            (Some(after), None) => Start::After(cursor("after", after)?),
            (None, Some(other)) => {
                let detail = format!("{other:?} is not valid; send `state`, or leave it out");
                return Err(invalid("init", detail));
            }
            (Some(_), Some(_)) => {
                let detail =
                    "`init` starts with the state and `after` at a cursor; send one of them";
                return Err(invalid("init", detail.into()));
            }
        };
        let live = parameters.flag("live")?;
        Ok(Self { start, live })
    }

    /// As [`FollowRequest::after_event`].
    ///
    /// # Errors
    ///
    /// The problem if it is no cursor.
    pub(crate) fn after_event(mut self, last: Option<(&str, &str)>) -> Result<Self, Problem> {
        if let Some((name, id)) = last.filter(|(_, id)| !id.is_empty()) {
            self.start = Start::After(cursor(name, id)?);
        }
        Ok(self)
    }
}

fn cursor(field: &str, text: &str) -> Result<Cursor, Problem> {
    text.parse().map_err(|e| {
        let problem = Problem::new(ProblemKind::InvalidCursor, format!("{e}"));
        problem.with_field(field)
    })
}

fn invalid(field: &str, detail: String) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail).with_field(field)
}
