//! Documents of LTMs in files: `ltm export` writes them, `ltm import` reads them, also those of Flou.

pub(crate) mod export;
pub(crate) mod import;
mod import_plan;
mod recording;

pub(crate) use import_plan::FlouDocument;
pub(crate) use recording::{last_document, not_a_document};
