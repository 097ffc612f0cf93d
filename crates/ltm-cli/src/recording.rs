//! Files that hold documents: one, or a recording with the document at several times.

use std::fmt::Display;

use ltm_state::json;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// A file with the document at several times; the last is the end.
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

/// The document that a text is, or the last that a recording holds; and the id that the recording
/// says.
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
    let last = last.ok_or_else(|| Error::Input("no document in it has status 200".into()))?;
    Ok((last.get(), id))
}

/// The error for a text that is none.
pub(crate) fn not_a_document(error: &impl Display) -> Error {
    Error::Input(format!("not a document of an LTM: {error}"))
}
