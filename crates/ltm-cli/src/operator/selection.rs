//! Which LTMs a backup or a restore is about.

use ltm_types::{LtmRef, covers_class};

use crate::error::Error;

/// The LTMs to choose; without an argument, all of them and everything beside them.
#[derive(clap::Args, Debug)]
pub(crate) struct Selection {
    /// Only these LTMs: ids, or class and key as app.Agent/3f2c [default: everything]
    #[arg(value_name = "LTM")]
    pub(crate) ltms: Vec<LtmRef>,
    /// Only LTMs of this class, or of all classes under a prefix: 'app.*'
    #[arg(long, conflicts_with = "ltms")]
    pub(crate) fqn: Option<String>,
}

impl Selection {
    /// Whether all LTMs are chosen, and everything beside them.
    pub(crate) fn is_everything(&self) -> bool {
        self.ltms.is_empty() && self.fqn.is_none()
    }

    /// Whether the LTMs of a class can be among the chosen ones.
    pub(crate) fn has_class(&self, class: &str) -> bool {
        let fqn = self.fqn.as_deref();
        fqn.is_none_or(|pattern| covers_class(pattern, class))
    }

    /// Fails if the option names classes, and no LTM of them was found in `place`.
    pub(crate) fn check_found(&self, is_found: bool, place: &str) -> Result<(), Error> {
        match &self.fqn {
            Some(pattern) if !is_found => Err(Error::NotFound(format!(
                "no LTM in {place} has a class that matches {pattern:?}"
            ))),
            _ => Ok(()),
        }
    }

    /// As text, to recognize the same selection.
    pub(crate) fn texts(&self) -> Vec<String> {
        let ltms = self.ltms.iter().map(ToString::to_string);
        ltms.chain(self.fqn.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_or_a_prefix_of_classes_is_chosen() {
        let of = |fqn: &str| Selection {
            ltms: Vec::new(),
            fqn: Some(fqn.into()),
        };
        assert!(of("app.*").has_class("app.Agent"));
        assert!(!of("app.*").has_class("apple.Agent"));
        assert!(of("app.Agent").has_class("app.Agent"));
        assert!(!of("app.Agent").has_class("app.Agents"));
        assert!(!of("app.Agent").is_everything());
    }
}
