//! The terms by which lists find LTMs.
//!
//! A term is a text. In the index, an id follows it, so the LTMs of one term stand together, in the order of their
//! ids. Everything in a term comes from engines, so its length and number are limited: what lies beyond is not found
//! by the index, but read from the LTM.

use crate::log::list::ListedLtm;

/// The most words of a name that lists find.
const MAX_WORDS: usize = 16;
/// The most characters of a word that lists compare.
const MAX_WORD: usize = 32;
/// The most levels of a class in the index. LTMs of deeper classes are found by these.
const MAX_LEVELS: usize = 8;

/// A term that finds the LTMs with this status.
pub(crate) fn status(playground: bool, status: &str) -> String {
    term(playground, 's', status)
}

/// A term that finds the LTMs with errors.
pub(crate) fn errors(playground: bool) -> String {
    term(playground, 'e', "")
}

/// The term that finds the LTMs of classes that begin with this prefix, which ends with a dot, or of more classes.
pub(crate) fn class(playground: bool, prefix: &str) -> String {
    let level = levels_of(prefix).last();
    term(playground, 'c', level.unwrap_or_default())
}

/// The beginning of the terms that find LTMs by words that begin with this text.
pub(crate) fn word(playground: bool, word: &str) -> String {
    term(playground, 'w', word)
}

/// All terms that find an LTM.
pub(crate) fn of(ltm: &ListedLtm) -> Vec<String> {
    let (row, playground) = (&ltm.row, ltm.playground);
    let mut terms: Vec<String> = levels_of(&row.fqn)
        .map(|level| term(playground, 'c', level))
        .collect();
    terms.extend(row.status.as_deref().map(|it| status(playground, it)));
    if ltm.has_errors == Some(true) {
        terms.push(errors(playground));
    }
    terms.extend(words_of(&row.name).iter().map(|it| word(playground, it)));
    terms
}

/// What the LTM counts as: its list, class and status.
pub(crate) fn counted(ltm: &ListedLtm) -> String {
    let list = list_of(ltm.playground);
    let status = ltm.row.status.as_deref().unwrap_or_default();
    format!("{list}{}\u{1f}{}", plain(&ltm.row.fqn), plain(status))
}

/// The class and status that this counts, if it is of this list.
pub(crate) fn read_counted(counted: &str, playground: bool) -> Option<(&str, &str)> {
    let rest = counted.strip_prefix(list_of(playground))?;
    rest.split_once('\u{1f}')
}

/// The first words of a text, in lower case, each once, and the first characters of each.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        if words.len() == MAX_WORDS {
            break;
        }
        let lower = word.chars().flat_map(char::to_lowercase);
        let word: String = lower.take(MAX_WORD).collect();
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The beginnings of a class that end with a dot, the shortest first.
fn levels_of(class: &str) -> impl Iterator<Item = &str> {
    let dots = class.match_indices('.').take(MAX_LEVELS);
    dots.filter_map(|(at, _)| class.get(..=at))
}

fn term(playground: bool, kind: char, text: &str) -> String {
    format!("{}{kind}{}", list_of(playground), plain(text))
}

fn list_of(playground: bool) -> char {
    if playground { '1' } else { '0' }
}

/// The text without characters that separate terms and records. Two texts can become one: an LTM is always read before
/// a list shows it.
fn plain(text: &str) -> String {
    text.replace(|c: char| c < ' ', "\u{1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_name_are_few_short_and_lower_case() {
        assert_eq!(
            words_of("Harbours: Lisbon, lisbon (2)"),
            ["harbours", "lisbon", "2"]
        );
        assert_eq!(words_of(" .-/ "), Vec::<String>::new());
        assert_eq!(words_of("Ärger_über"), ["ärger", "über"]);
        let long = "x".repeat(1000);
        assert_eq!(words_of(&long), ["x".repeat(MAX_WORD)]);
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(words_of(&many.join(" ")).len(), MAX_WORDS);
    }

    #[test]
    fn a_class_has_a_term_for_each_of_its_first_levels() {
        let levels: Vec<&str> = levels_of("app.billing.Invoice").collect();
        assert_eq!(levels, ["app.", "app.billing."]);
        assert_eq!(levels_of("Agent").count(), 0);
        let deep = "a.".repeat(100);
        assert_eq!(levels_of(&deep).count(), MAX_LEVELS);
        // A deeper filter uses the deepest level that the index has.
        assert_eq!(class(false, &deep), class(false, &"a.".repeat(MAX_LEVELS)));
    }

    #[test]
    fn no_text_of_an_engine_can_look_like_the_end_of_a_term() {
        let term = status(false, "a\0b\nc\u{1f}d");
        assert!(
            !term.contains(|c: char| c < ' ' && c != '\u{1}'),
            "{term:?}"
        );
    }
}
