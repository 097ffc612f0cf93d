//! What is wrong with a body that cannot be read: the member, and what would be right.

use ltm_service::ProblemResponse;
use ltm_state::json::path_at;
use ltm_types::{Problem, ProblemKind};
use serde_json::{Error, error::Category};

/// The words that languages write for numbers that JSON does not have.
const NO_NUMBERS: [&str; 7] = [
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "-inf",
    "undefined",
];

/// The problem for the body `text`, in which the parser failed at the member `path` (`.` for the body itself).
pub(super) fn malformed(text: &str, path: &str, error: &Error) -> ProblemResponse {
    let parent = if path == "." { "" } else { path };
    let (field, detail) = match error.classify() {
        Category::Data => wrong_member(parent, error),
        Category::Syntax | Category::Eof | Category::Io => no_json(text, error),
    };
    let problem = Problem::new(ProblemKind::InvalidRequest, detail);
    ProblemResponse(if field.is_empty() {
        problem
    } else {
        problem.with_field(field)
    })
}

/// JSON that is not what the request needs.
fn wrong_member(parent: &str, error: &Error) -> (String, String) {
    let said = without_place(error);
    let mut names = said.split('`').skip(1).step_by(2);
    let below = |name: &str| match parent {
        "" => name.to_owned(),
        parent => format!("{parent}.{name}"),
    };
    if said.starts_with("unknown field")
        && let Some(unknown) = names.next()
    {
        let known: Vec<&str> = names.collect();
        // The path leads to the unknown member already.
        let field = parent.to_owned();
        let advice = match nearest(unknown, &known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the members are {}", known.join(", ")),
        };
        let detail = format!("`{field}` is not a member of this request; {advice}");
        return (field, detail);
    }
    if said.starts_with("missing field")
        && let Some(missing) = names.next()
    {
        let field = below(missing);
        let detail = format!("`{field}` is missing");
        return (field, detail);
    }
    if parent.is_empty() {
        return (String::new(), said);
    }
    (parent.to_owned(), format!("`{parent}`: {said}"))
}

/// Text that is not JSON.
fn no_json(text: &str, error: &Error) -> (String, String) {
    let at = offset(text, error);
    let path = path_at("", text, at);
    let shown = match path.as_str() {
        "" => "the body".to_owned(),
        path => format!("`{path}`"),
    };
    if let Some(word) = word_at(text, at) {
        let detail = format!("{shown}: {word} is not JSON; send null or a string");
        return (path, detail);
    }
    let detail = if path.is_empty() {
        format!("{shown} is not valid JSON: {error}")
    } else {
        format!("{shown} is not valid JSON: {}", without_place(error))
    };
    (path, detail)
}

/// The word at a byte of the text that stands for a number in other languages.
fn word_at(text: &str, at: usize) -> Option<&'static str> {
    let before = text.get(..at)?;
    let of_word = |letter: char| letter.is_ascii_alphabetic() || letter == '-';
    let start = before.trim_end_matches(of_word).len();
    let rest = text[start..].trim_start();
    let word = rest.split(|letter| !of_word(letter)).next()?;
    NO_NUMBERS.into_iter().find(|known| *known == word)
}

/// The byte at which the parser failed, or the one before.
fn offset(text: &str, error: &Error) -> usize {
    let lines = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    let at = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    let boundaries = (0..=at.min(text.len())).rev();
    let mut boundaries = boundaries.filter(|at| text.is_char_boundary(*at));
    boundaries.next().unwrap_or_default()
}

/// The error without its line and column.
fn without_place(error: &Error) -> String {
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    said.strip_suffix(&place).unwrap_or(&said).to_owned()
}

/// The known name that a wrong name was probably meant to be.
fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|name| (distance(wrong, name), *name));
    let (edits, name) = near.min()?;
    (edits <= 2.max(name.len() / 3)).then_some(name)
}

/// The number of edits that make one name of the other (Levenshtein). Names of requests are short; of a long one only
/// the begin counts.
fn distance(wrong: &str, name: &str) -> usize {
    let name: Vec<char> = name.chars().collect();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (index, letter) in wrong.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for column in 0..name.len() {
            let replaced = diagonal + usize::from(letter != name[column]);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_probably_meant() {
        let known = ["structure", "state", "execute_queue", "id"];
        assert_eq!(nearest("structre", &known), Some("structure"));
        assert_eq!(nearest("execute_que", &known), Some("execute_queue"));
        assert_eq!(nearest("State", &known), Some("state"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
