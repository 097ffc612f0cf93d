//! The edits of an array, element by element.

/// One step from the old array to the new array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// The next old element stays.
    Keep,
    /// The next old element becomes the next new element.
    Change,
    /// The next old element is removed.
    Remove,
    /// The next new element is added before the next old element.
    Add,
}

impl Edit {
    /// Whether it shifts the elements after it.
    pub(super) fn shifts(self) -> bool {
        matches!(self, Self::Remove | Self::Add)
    }
}
