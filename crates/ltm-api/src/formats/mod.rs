//! The documented formats (`docs/formats.md`): what the members of a structure, an item or an attempt must be.
//!
//! One table describes each format. [`Format::check`] compares a request with it, and the OpenAPI document has the same
//! table as JSON Schema.

mod check;
mod schema;

pub(crate) use check::FormatError;
pub(crate) use schema::{ConcurrentInstances, Item, Retry, Structure, components};

/// What a JSON value must be.
pub(crate) enum Format {
    /// A text.
    Text,
    /// `true` or `false`.
    Bool,
    /// Any value.
    Any,
    /// An object with any members.
    Object,
    /// An array, an object, `true`, `false` or `null`.
    Params,
    /// An array of such values.
    List(&'static Format),
    /// An object whose members are all such values.
    Each(&'static Format),
    /// An object with these members, and any others.
    Members(Members),
    /// Any value; if it is an object, it has these members, and any others.
    Loose(Members),
}

/// The known members of an object.
pub(crate) struct Members {
    known: &'static [(&'static str, &'static Format)],
    required: &'static [&'static str],
}

/// A machine: its states, and the transitions between them.
pub(crate) static STRUCTURE: Format = Format::Members(Members {
    known: &[
        ("name", &Format::Text),
        ("fqn", &Format::Text),
        ("init", &TEXTS),
        ("ltms", &STRUCTURES),
        ("transitions", &TRANSITIONS),
    ],
    required: &[],
});
static TEXTS: Format = Format::List(&Format::Text);
static STRUCTURES: Format = Format::List(&STRUCTURE);
static TRANSITIONS: Format = Format::List(&TRANSITION);
/// A transition of a machine.
static TRANSITION: Format = Format::Members(Members {
    known: &[
        ("from", &Format::Text),
        ("to", &Format::Text),
        ("label", &Format::Text),
        ("namespace", &Format::Text),
        ("display_label", &Format::Text),
    ],
    required: &["from", "to", "label"],
});

/// The instances of parameterised states.
pub(crate) static CONCURRENT_INSTANCES: Format = Format::Each(&INSTANCES);
static INSTANCES: Format = Format::List(&INSTANCE);
static INSTANCE: Format = Format::Members(Members {
    known: &[
        ("fqn", &Format::Text),
        ("structure_fqn", &Format::Text),
        ("fname", &Format::Text),
        ("params", &Format::Object),
    ],
    required: &["fqn", "fname"],
});

/// What a step executed.
pub(crate) static ITEM: Format = Format::Loose(Members {
    known: &[
        ("item_id", &Format::Text),
        ("fqn", &Format::Text),
        ("label", &Format::Text),
        ("namespace", &Format::Text),
        ("params", &Format::Params),
        ("payload", &Format::Any),
        ("playground", &Format::Bool),
    ],
    required: &[],
});
/// What a step queued.
pub(crate) static QUEUE: Format = Format::List(&ITEM);

/// The attempts that failed.
pub(crate) static RETRIES: Format = Format::List(&RETRY);
static RETRY: Format = Format::Members(Members {
    known: &[
        ("time", &Format::Text),
        ("type", &Format::Text),
        ("description", &Format::Text),
        ("details", &Format::Any),
    ],
    required: &[],
});
