//! Brings LTMs over from Flou: from its documents (`ltm import`) and from what it publishes (`ltm bridge`).

pub(crate) mod bridge;
pub(crate) mod import;
mod import_plan;
mod patient_api;
mod pending;
mod recording;
mod report;

pub(crate) use recording::{last_document, not_a_document};
