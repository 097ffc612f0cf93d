//! Which values a setting may have.

use std::{error::Error, fmt::Debug, iter, ops::RangeInclusive, time::Duration};

/// The longest duration of a setting. The sum of a few of them is still a time that every clock can represent.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
/// The shortest interval of work that repeats.
const SHORTEST: Duration = Duration::from_millis(1);

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setting `{setting}` (environment: LTM__{}): {problem}", .setting.replace('.', "__").to_uppercase())]
pub struct SettingError {
    /// The setting: `api.max_body`.
    pub setting: String,
    /// What is wrong with its value, and what would be right.
    pub problem: String,
}

impl SettingError {
    /// The error for `setting`.
    pub fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            problem: problem.into(),
        }
    }

    /// The error for `setting` that names all causes of another error: many libraries name the reason in the last one only.
    pub fn caused(setting: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        let causes = iter::successors(Some(error), |&error| error.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        Self::new(setting, causes.join(": "))
    }
}

/// Rejects a value that is out of bounds.
///
/// # Errors
///
/// Names the setting and its bounds.
pub fn within<T: PartialOrd + Debug>(
    setting: &str,
    value: T,
    bounds: RangeInclusive<T>,
) -> Result<(), SettingError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    let problem = format!("{value:?} is out of bounds; it can be {least:?} to {most:?}");
    Err(SettingError::new(setting, problem))
}

/// Rejects a duration that is too long for a clock. It may be 0.
///
/// # Errors
///
/// As [`within`].
pub fn check_wait(setting: &str, value: Duration) -> Result<(), SettingError> {
    within(setting, value, Duration::ZERO..=LONGEST)
}

/// Rejects an interval of repeated work that is 0, or too long for a clock.
///
/// # Errors
///
/// As [`within`].
pub fn check_pause(setting: &str, value: Duration) -> Result<(), SettingError> {
    within(setting, value, SHORTEST..=LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_bounds_is_named_with_its_bounds() {
        assert!(check_wait("a.b", Duration::ZERO).is_ok());
        assert!(check_wait("a.b", Duration::MAX).is_err());
        let error = check_pause("api.lock_wait", Duration::ZERO).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("LTM__API__LOCK_WAIT"), "{text}");
        assert!(text.contains("1ms"), "{text}");
    }
}
