//! What is wrong with a change or a field, as a problem.

use bytestring::ByteString;
use json_patch::PatchOperation;
use ltm_service::ProblemResponse;
use ltm_state::{
    ChangeError, PatchError,
    json::{FieldError, FieldErrorKind},
};
use ltm_types::{Problem, ProblemKind};
use serde::Serialize;
use serde_json::value::RawValue;

/// A patch as JSON text.
pub(crate) fn text(operations: &[PatchOperation]) -> Result<Box<RawValue>, ProblemResponse> {
    serde_json::value::to_raw_value(operations).map_err(unwritable)
}

/// The payload of an entry.
pub(crate) fn written(payload: &impl Serialize) -> Result<ByteString, ProblemResponse> {
    let text = serde_json::to_string(payload).map_err(unwritable)?;
    Ok(text.into())
}

fn unwritable(error: serde_json::Error) -> ProblemResponse {
    Problem::new(
        ProblemKind::Internal,
        format!("JSON cannot be written: {error}"),
    )
    .into()
}

pub(crate) fn field_problem(error: &FieldError) -> ProblemResponse {
    let kind = match error.kind {
        FieldErrorKind::TooDeep(_) | FieldErrorKind::TooLarge { .. } => ProblemKind::StateTooLarge,
        FieldErrorKind::Shape(_) | FieldErrorKind::NotUnicode(_) | FieldErrorKind::Json(_) => {
            ProblemKind::InvalidRequest
        }
    };
    Problem::new(kind, error.to_string())
        .with_field(error.field)
        .into()
}

pub(crate) fn change_problem(error: ChangeError) -> ProblemResponse {
    match error {
        ChangeError::NotOne => Problem::new(ProblemKind::InvalidRequest, error.to_string())
            .with_field("patch")
            .into(),
        ChangeError::Field(error) => field_problem(&error),
        ChangeError::Patch { field, source } => refusal(field, source),
        ChangeError::Unwritable(error) => unwritable(error),
    }
}

pub(crate) fn refusal(field: &str, error: PatchError) -> ProblemResponse {
    let detail = error.to_string();
    let problem = match &error {
        PatchError::Malformed { field: member, .. } => {
            let member = if member == "." { "" } else { member };
            Problem::new(ProblemKind::InvalidRequest, detail).with_field(format!("{field}{member}"))
        }
        PatchError::Failed { operation, .. } => {
            let mut problem = Problem::new(ProblemKind::PatchFailed, detail)
                .with_field(format!("{field}[{operation}]"));
            problem.operation = Some(*operation);
            problem
        }
        PatchError::TooLarge { operation, .. } if field == "patch" => {
            let mut problem = Problem::new(ProblemKind::StateTooLarge, detail)
                .with_field(format!("{field}[{operation}]"));
            problem.operation = Some(*operation);
            problem
        }
        PatchError::TooLarge { detail, .. } => {
            Problem::new(ProblemKind::StateTooLarge, detail.clone()).with_field(field)
        }
    };
    problem.into()
}
