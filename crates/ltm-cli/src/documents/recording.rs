//! Files that hold documents: a document, or a recording of one LTM's document at several times.

use std::fmt::Display;

use ltm_state::json;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// The document of one LTM at several times, the latest last.
#[derive(Deserialize)]
struct Recording<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    documents: Option<Vec<Recorded<'a>>>,
}

#[derive(Deserialize)]
struct Recorded<'a> {
    status: Option<u16>,
    #[serde(borrow)]
    document: Option<&'a RawValue>,
}

/// The document in a text, or the last one of a recording, and the LTM's id if the recording names it.
pub(crate) fn last_document(text: &str) -> Result<(&str, Option<u64>), Error> {
    let Recording { id, documents } = json::read(text).map_err(|e| not_a_document(&e))?;
    let Some(documents) = documents else {
        return Ok((text, None));
    };
    let done = |recorded: &&Recorded<'_>| recorded.status.is_none_or(|status| status == 200);
    let last = documents
        .iter()
        .rev()
        .filter(done)
        .find_map(|it| it.document);
    let last =
        last.ok_or_else(|| Error::Input("no document of the recording has status 200".into()))?;
    Ok((last.get(), id))
}

/// The error for a text that is not a document.
pub(crate) fn not_a_document(error: &impl Display) -> Error {
    Error::Input(format!("not a document of an LTM: {error}"))
}
