//! The list that the query string of a request asks for.

use jiff::Timestamp;
use ltm_store::{ClassFilter, ListFilter, Listing, TimeRange};
use ltm_types::{LtmId, shorten};

use super::{
    problem::ProblemResponse,
    query::{Parameters, invalid},
};

/// The rows of a page: the default, and the limit.
const MAX_ROWS: u64 = 1000;
/// The most statuses in one filter.
const MAX_STATUSES: usize = 16;
/// The most words in one filter.
const MAX_WORDS: usize = 8;
/// The longest status, class or text of words, in bytes.
const MAX_TEXT: usize = 1024;

/// The list that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// Whether to list the LTMs of the playground instead of the others.
    pub playground: bool,
    /// Which of them.
    pub filter: ListFilter,
    /// The most rows, at least 1.
    pub limit: usize,
    /// Only those with lower ids.
    pub before: Option<LtmId>,
    /// The parameters of the filter as they were given.
    given: Vec<(&'static str, String)>,
}

/// The parameters of the filter.
const FILTERS: [&str; 8] = [
    "status",
    "fqn",
    "name",
    "created_after",
    "created_before",
    "updated_after",
    "updated_before",
    "has_errors",
];

impl ListQuery {
    /// Reads `playground`, the parameters of the filter, `limit` and `before`.
    ///
    /// # Errors
    ///
    /// The first parameter that is wrong.
    pub fn read(parameters: &Parameters) -> Result<Self, ProblemResponse> {
        let playground = parameters.flag("playground")?;
        let limit = parameters.number("limit", 1, MAX_ROWS)?.unwrap_or(MAX_ROWS);
        let before = parameters.number("before", 1, u64::MAX)?;
        let given = FILTERS
            .into_iter()
            .filter_map(|name| Some((name, parameters.text(name)?.into())));
        Ok(Self {
            playground,
            filter: filter(parameters)?,
            // At most `MAX_ROWS`.
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            before: before.and_then(|id| LtmId::new(id).ok()),
            given: given.collect(),
        })
    }

    /// The same list, as the store reads it.
    pub fn listing(&self) -> Listing<'_> {
        Listing {
            playground: self.playground,
            filter: &self.filter,
            limit: self.limit,
            before: self.before,
        }
    }

    /// The parameters of the page that begins before `before`.
    pub fn next_page(&self, before: LtmId) -> impl Iterator<Item = (&'static str, String)> {
        let page = [
            ("playground", self.playground.to_string()),
            ("limit", self.limit.to_string()),
            ("before", before.to_string()),
        ];
        page.into_iter().chain(self.given.iter().cloned())
    }
}

fn filter(parameters: &Parameters) -> Result<ListFilter, ProblemResponse> {
    Ok(ListFilter {
        statuses: statuses(parameters)?,
        class: text(parameters, "fqn")?.map(class).transpose()?,
        words: words(parameters)?,
        created: range(parameters, "created_after", "created_before")?,
        updated: range(parameters, "updated_after", "updated_before")?,
        has_errors: parameters
            .given("has_errors")
            .map(|_| parameters.flag("has_errors"))
            .transpose()?,
    })
}

fn statuses(parameters: &Parameters) -> Result<Vec<String>, ProblemResponse> {
    let Some(given) = text(parameters, "status")? else {
        return Ok(Vec::new());
    };
    let mut statuses: Vec<String> = given.split(',').map(|it| it.trim().into()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.iter().any(String::is_empty) {
        let detail = format!(
            "{:?} has an empty status; send words such as `error,active`",
            shorten(given)
        );
        return Err(invalid("status", detail));
    }
    if statuses.len() > MAX_STATUSES {
        let detail = format!(
            "{} statuses are too many; send at most {MAX_STATUSES}",
            statuses.len()
        );
        return Err(invalid("status", detail));
    }
    Ok(statuses)
}

fn class(text: &str) -> Result<ClassFilter, ProblemResponse> {
    let prefix = text.strip_suffix('*');
    match prefix {
        None if !text.contains('*') => Ok(ClassFilter::Is(text.into())),
        Some(prefix) if prefix.len() > 1 && prefix.ends_with('.') && !prefix.contains('*') => {
            Ok(ClassFilter::Under(prefix.into()))
        }
        _ => {
            let detail = format!(
                "{:?} is neither a class such as `app.Agent` nor a prefix such as `app.*`",
                shorten(text)
            );
            Err(invalid("fqn", detail))
        }
    }
}

fn words(parameters: &Parameters) -> Result<Vec<String>, ProblemResponse> {
    let Some(given) = text(parameters, "name")? else {
        return Ok(Vec::new());
    };
    let words = ListFilter::words_in(given);
    if words.is_empty() {
        let detail = format!(
            "{:?} has no letter or digit; send the beginnings of words",
            shorten(given)
        );
        return Err(invalid("name", detail));
    }
    if words.len() > MAX_WORDS {
        return Err(invalid(
            "name",
            format!("too many words; send at most {MAX_WORDS}"),
        ));
    }
    Ok(words)
}

/// A text that is not too long; `None` if it is absent or empty.
fn text<'a>(parameters: &'a Parameters, name: &str) -> Result<Option<&'a str>, ProblemResponse> {
    let text = parameters.text(name);
    match text {
        Some(text) if text.len() > MAX_TEXT => {
            let detail = format!("{} bytes are too many; send at most {MAX_TEXT}", text.len());
            Err(invalid(name, detail))
        }
        text => Ok(text),
    }
}

fn range(parameters: &Parameters, from: &str, before: &str) -> Result<TimeRange, ProblemResponse> {
    let range = TimeRange {
        from: time(parameters, from)?,
        before: time(parameters, before)?,
    };
    if range
        .from
        .zip(range.before)
        .is_some_and(|(from, before)| from >= before)
    {
        return Err(invalid(
            before,
            format!("it is not later than `{from}`, so no LTM can match"),
        ));
    }
    Ok(range)
}

fn time(parameters: &Parameters, name: &str) -> Result<Option<Timestamp>, ProblemResponse> {
    let Some(text) = parameters.given(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let detail = format!(
            "{:?} is not a time; send RFC 3339 such as `2026-01-31T12:00:00Z`, with `%2B` for a plus",
            shorten(text)
        );
        invalid(name, detail)
    })
}
