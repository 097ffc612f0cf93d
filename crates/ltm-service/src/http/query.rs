//! The parameters of a query string. Unknown parameters are ignored.

use std::collections::HashMap;

use actix_web::{HttpRequest, web::Query};
use ltm_types::{Problem, ProblemKind, shorten};

use super::problem::ProblemResponse;

/// The parameters of a query string.
pub struct Parameters(HashMap<String, String>);

impl Parameters {
    /// The parameters of a request.
    ///
    /// # Errors
    ///
    /// The query string is malformed.
    pub fn of(request: &HttpRequest) -> Result<Self, ProblemResponse> {
        Self::read(request.query_string())
    }

    /// The parameters of a query string.
    ///
    /// # Errors
    ///
    /// The query string is malformed.
    pub fn read(text: &str) -> Result<Self, ProblemResponse> {
        let query = Query::<HashMap<String, String>>::from_query(text);
        Ok(Self(
            query
                .map_err(|e| invalid("query", shorten(&e.to_string()).into_owned()))?
                .into_inner(),
        ))
    }

    /// A flag, in the spellings that Flou accepts; false if it is absent.
    ///
    /// # Errors
    ///
    /// The parameter has another form.
    pub fn flag(&self, name: &str) -> Result<bool, ProblemResponse> {
        match self
            .0
            .get(name)
            .map(|text| text.to_ascii_lowercase())
            .as_deref()
        {
            Some("true" | "1" | "yes" | "on" | "t" | "y") => Ok(true),
            Some("false" | "0" | "no" | "off" | "f" | "n") | None => Ok(false),
            Some(other) => Err(invalid(
                name,
                format!("{:?} is neither true nor false", shorten(other)),
            )),
        }
    }

    /// A text; `None` if it is absent or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|text| !text.is_empty())
    }

    /// A text; `None` if it is absent.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number between two bounds; `None` if it is absent.
    ///
    /// # Errors
    ///
    /// The parameter has another form.
    pub fn number(
        &self,
        name: &str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, ProblemResponse> {
        let Some(text) = self.given(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(invalid(
                name,
                format!(
                    "{:?} is not a whole number from {least} to {most}",
                    shorten(text)
                ),
            )),
        }
    }
}

impl FromIterator<(String, String)> for Parameters {
    /// Parameters that do not come from a query string: each name, and the text of its value.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(all: T) -> Self {
        Self(all.into_iter().collect())
    }
}

/// The answer to a parameter that is wrong.
pub(super) fn invalid(field: &str, detail: String) -> ProblemResponse {
    Problem::new(ProblemKind::InvalidRequest, detail)
        .with_field(field)
        .into()
}
