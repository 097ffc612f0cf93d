//! The limits of patches, and why a patch is rejected.

/// What a state may take in memory for each byte that its text may have.
const MEMORY_PER_BYTE: usize = 6;
/// What any state may take in memory.
const MIN_MEMORY: usize = 16 * 1024 * 1024;

/// The limits of a patch and of its result.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest state, approximately, in bytes of JSON text.
    pub max_bytes: usize,
    /// The most levels of arrays and objects in the state.
    pub max_depth: usize,
    /// The most operations in one patch.
    pub max_operations: usize,
    /// The most memory that a state, or the values in a patch, may take, approximately, in bytes. It can be a hundred
    /// times the text.
    pub max_memory: usize,
    /// The most bytes that a patch may copy: the memory of the values that it adds or copies. Each element of an array
    /// that an operation shifts counts as a byte, too.
    pub max_work: usize,
}

impl Limits {
    /// No limits, except of the depth.
    pub const UNLIMITED: Self = Self {
        max_bytes: usize::MAX,
        max_depth: MAX_DEPTH,
        max_operations: usize::MAX,
        max_memory: usize::MAX,
        max_work: usize::MAX,
    };

    /// The limits of states with at most this many bytes, levels, and operations in one patch. What they take in memory,
    /// and what a patch may copy, follows from the bytes.
    pub const fn of_state(max_bytes: usize, max_depth: usize, max_operations: usize) -> Self {
        let memory = max_bytes.saturating_mul(MEMORY_PER_BYTE);
        let memory = if memory < MIN_MEMORY {
            MIN_MEMORY
        } else {
            memory
        };
        Self {
            max_bytes,
            max_depth,
            max_operations,
            max_memory: memory,
            max_work: memory,
        }
    }
}

/// The levels that the services allow unless an operator changes that.
pub const DEFAULT_DEPTH: usize = 256;
/// The operations in one patch that the services allow unless an operator changes that.
pub const DEFAULT_OPERATIONS: usize = 10_000;

/// The limits for entries that are in the log. The API checks its own entries against lower limits. These limits
/// protect a process from entries that another program, or an older API, wrote.
pub(crate) const LOGGED: Limits = Limits {
    // A whole new state may replace another one, and both are there on the way. Each may measure more than its text.
    max_bytes: 4 * MAX_STATE_BYTES,
    max_depth: MAX_DEPTH,
    max_operations: usize::MAX,
    max_memory: usize::MAX,
    max_work: 32 * MAX_STATE_BYTES,
};

/// The largest state in bytes, regardless of the settings. A process that reads a state needs a multiple of its
/// size.
pub const MAX_STATE_BYTES: usize = 128 * 1024 * 1024;

/// The most levels of arrays and objects in a state, regardless of the settings. JSON is read, measured and
/// dropped recursively, on the stack.
pub const MAX_DEPTH: usize = 512;
/// The levels of a patch around the values in it.
pub const LEVELS: usize = 2;

/// Why a patch is rejected. The state is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The text is not a patch.
    #[error("{detail}")]
    Malformed {
        /// The wrong member: `[2].path`.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// An operation does not apply to the state.
    #[error("operation {operation} ({text}): {detail}")]
    Failed {
        /// The index of the operation.
        operation: usize,
        /// A short form of the operation: `move /a to /b`.
        text: String,
        /// Why it failed.
        detail: String,
    },
    /// The state would be larger or deeper than allowed, or the patch has too many operations.
    #[error("operation {operation}: {detail}")]
    TooLarge {
        /// The index of the operation.
        operation: usize,
        /// The limit and the value that exceeds it.
        detail: String,
    },
}
