//! Brings LTMs over from a running Flou: from what it publishes (`ltm bridge`).

pub(crate) mod bridge;
mod patient_api;
mod pending;
mod report;
