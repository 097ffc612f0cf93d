//! Which LTMs a list shows.

use jiff::Timestamp;

use crate::{list::terms::words_of, log::list::ListedLtm};

/// Which LTMs a list shows: those for which every part holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListFilter {
    /// Only LTMs with one of these statuses; empty for any.
    pub statuses: Vec<String>,
    /// Only LTMs of these classes.
    pub class: Option<ClassFilter>,
    /// Only LTMs whose name has, for each of these, a word that begins with it: see [`ListFilter::words_in`].
    pub words: Vec<String>,
    /// Only LTMs that were created in this time.
    pub created: TimeRange,
    /// Only LTMs whose last entry was written in this time.
    pub updated: TimeRange,
    /// Only LTMs whose log has an error, or has none.
    pub has_errors: Option<bool>,
}

/// Some classes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClassFilter {
    /// One class.
    Is(String),
    /// The classes that begin with this text, which ends with a dot.
    Under(String),
}

/// A range of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first time in it.
    pub from: Option<Timestamp>,
    /// The first time after it.
    pub before: Option<Timestamp>,
}

impl TimeRange {
    /// Whether it has no limits.
    pub(crate) fn is_open(&self) -> bool {
        self.from.is_none() && self.before.is_none()
    }

    /// Whether it has the time in this text.
    fn has(&self, time: &str) -> bool {
        if self.is_open() {
            return true;
        }
        let Ok(time) = time.parse::<Timestamp>() else {
            return false;
        };
        self.from.is_none_or(|from| time >= from) && self.before.is_none_or(|before| time < before)
    }
}

impl ListFilter {
    /// The words of a text, as a filter compares them: in lower case, the first of them, each cut after some characters.
    pub fn words_in(text: &str) -> Vec<String> {
        words_of(text)
    }

    /// Whether the list of all LTMs, or that of one class, is all that it needs.
    pub(crate) fn is_list(&self) -> bool {
        let Self {
            statuses,
            class,
            words,
            created,
            updated,
            has_errors,
        } = self;
        statuses.is_empty()
            && !matches!(class, Some(ClassFilter::Under(_)))
            && words.is_empty()
            && created.is_open()
            && updated.is_open()
            && has_errors.is_none()
    }

    /// Whether it has one part only, whose LTMs the index has without any others.
    pub(crate) fn is_one_part(&self) -> bool {
        let others = [
            self.class.is_some(),
            !self.created.is_open(),
            !self.updated.is_open(),
        ];
        let parts = [
            !self.statuses.is_empty(),
            !self.words.is_empty(),
            self.has_errors == Some(true),
        ];
        self.has_errors != Some(false)
            && !others.contains(&true)
            && parts.iter().filter(|it| **it).count() == 1
            && self.words.len() <= 1
    }

    /// Whether it shows the LTM; `None` if that is not known.
    pub(crate) fn shows(&self, ltm: &ListedLtm) -> Option<bool> {
        let row = &ltm.row;
        let status = row.status.as_deref();
        let is_shown = (self.statuses.is_empty()
            || status.is_some_and(|status| self.statuses.iter().any(|it| it == status)))
            && self.has_class(&row.fqn)
            && self.has_words(&row.name)
            && self.created.has(&row.created_at)
            && self.updated.has(&row.updated_at);
        match self.has_errors {
            Some(wanted) if is_shown => ltm.has_errors.map(|has| has == wanted),
            _ => Some(is_shown),
        }
    }

    fn has_class(&self, class: &str) -> bool {
        match &self.class {
            None => true,
            Some(ClassFilter::Is(wanted)) => class == wanted,
            Some(ClassFilter::Under(prefix)) => class.starts_with(prefix.as_str()),
        }
    }

    fn has_words(&self, name: &str) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let words = words_of(name);
        let begins = |wanted: &String| words.iter().any(|word| word.starts_with(wanted.as_str()));
        self.words.iter().all(begins)
    }
}
