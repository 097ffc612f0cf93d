//! Errors of the writer and the reader as HTTP answers: the one place that chooses them.

use ltm_service::ProblemResponse;
use ltm_state::{
    ChangeError, PatchError,
    json::{FieldError, FieldErrorKind},
};
use ltm_store::{AppendError, CreateError};
use ltm_types::{Problem, ProblemKind};

use crate::{
    body_budget::UsedUp, json_work::Overloaded, reader::ReadError, state_cache::LockError,
    waits::WaitError, writer::WriteError,
};

impl From<WriteError> for ProblemResponse {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        match error {
            WriteError::Invalid { field, .. } => invalid(field, detail),
            WriteError::Field(error) => of_field(&error),
            WriteError::Format(error) => invalid(error.path, detail),
            WriteError::Change(error) => of_change(error),
            WriteError::InSnapshot { index, source } => in_snapshot((*source).into(), index),
            WriteError::Precondition(cursor) => Problem::new(ProblemKind::CursorMismatch, detail)
                .with_cursor(cursor)
                .into(),
            WriteError::Lock(error) => error.into(),
            WriteError::Overloaded(error) => error.into(),
            WriteError::Overtaken { .. } => Problem::new(ProblemKind::Busy, detail).into(),
            WriteError::Append(error) => of_append(error),
            WriteError::Create(error) => of_create(error),
            WriteError::Store(error) => error.into(),
            WriteError::Read(error) => error.into(),
            WriteError::Unwritable(_) => internal(detail),
        }
    }
}

impl From<ReadError> for ProblemResponse {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::Invalid { field, .. } => invalid(field, detail),
            ReadError::Lock(error) => error.into(),
            ReadError::Overloaded(error) => error.into(),
            ReadError::NoRoom(error) => {
                Problem::new(ProblemKind::OverLimit, error.to_string()).into()
            }
            ReadError::Store(error) => error.into(),
            ReadError::Unwritable(_) => internal(detail),
        }
    }
}

impl From<WaitError> for ProblemResponse {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TooMany => Problem::new(ProblemKind::OverLimit, error.to_string()).into(),
            WaitError::Store(error) => error.into(),
        }
    }
}

impl From<LockError> for ProblemResponse {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Busy { .. } => Problem::new(ProblemKind::Busy, error.to_string()).into(),
            LockError::Store(error) => error.into(),
        }
    }
}

impl From<UsedUp> for ProblemResponse {
    fn from(error: UsedUp) -> Self {
        Problem::new(ProblemKind::OverLimit, error.to_string()).into()
    }
}

impl From<Overloaded> for ProblemResponse {
    fn from(error: Overloaded) -> Self {
        Problem::new(ProblemKind::OverLimit, error.to_string()).into()
    }
}

/// A field, header or parameter with a value that is not allowed.
pub(super) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> ProblemResponse {
    Problem::new(ProblemKind::InvalidRequest, detail)
        .with_field(field)
        .into()
}

/// The problem of a snapshot in a batch: its field is a path from the body.
pub(super) fn in_snapshot(mut problem: ProblemResponse, index: usize) -> ProblemResponse {
    let Problem { field, detail, .. } = &mut problem.0;
    let snapshot = format!("snapshots[{index}]");
    let path = match field {
        Some(field) => format!("{snapshot}.{field}"),
        None => snapshot.clone(),
    };
    let named = field.as_ref().and_then(|field| {
        let rest = detail.strip_prefix('`')?.strip_prefix(field.as_str())?;
        Some(format!("`{path}{rest}"))
    });
    *detail = named.unwrap_or_else(|| format!("`{snapshot}`: {detail}"));
    *field = Some(path);
    problem
}

fn internal(detail: String) -> ProblemResponse {
    Problem::new(ProblemKind::Internal, detail).into()
}

fn of_field(error: &FieldError) -> ProblemResponse {
    let kind = match error.kind {
        FieldErrorKind::TooDeep(_)
        | FieldErrorKind::TooLarge { .. }
        | FieldErrorKind::TooMuchMemory { .. } => ProblemKind::StateTooLarge,
        FieldErrorKind::Shape(_)
        | FieldErrorKind::NotUnicode(_)
        | FieldErrorKind::Reserved(_)
        | FieldErrorKind::Prototype
        | FieldErrorKind::Json(_)
        | FieldErrorKind::Infinite { .. } => ProblemKind::InvalidRequest,
    };
    let field = match &error.kind {
        FieldErrorKind::Infinite { path, .. } => path,
        _ => error.field,
    };
    Problem::new(kind, error.to_string())
        .with_field(field)
        .into()
}

fn of_change(error: ChangeError) -> ProblemResponse {
    match error {
        ChangeError::NotOne => invalid("patch", error.to_string()),
        ChangeError::Field(error) => of_field(&error),
        ChangeError::Patch { field, source } => of_patch(field, &source),
        ChangeError::Unwritable(_) => internal(error.to_string()),
    }
}

fn of_patch(field: &str, error: &PatchError) -> ProblemResponse {
    let detail = error.to_string();
    let at = |kind, operation: usize| {
        let mut problem =
            Problem::new(kind, detail.clone()).with_field(format!("{field}[{operation}]"));
        problem.operation = Some(operation);
        problem.into()
    };
    match error {
        PatchError::Malformed { field: member, .. } => {
            let member = if member == "." { "" } else { member };
            invalid(format!("{field}{member}"), detail)
        }
        PatchError::Failed { operation, .. } => at(ProblemKind::PatchFailed, *operation),
        PatchError::TooLarge { operation, .. } if field == "patch" => {
            at(ProblemKind::StateTooLarge, *operation)
        }
        // The client did not send the operations that were made of a state or a merge patch.
        PatchError::TooLarge { detail, .. } => {
            Problem::new(ProblemKind::StateTooLarge, detail.clone())
                .with_field(field)
                .into()
        }
    }
}

fn of_append(error: AppendError) -> ProblemResponse {
    let detail = error.to_string();
    match error {
        AppendError::Conflict { current } => Problem::new(ProblemKind::Busy, detail)
            .with_cursor(current)
            .into(),
        AppendError::Duplicate(_) | AppendError::KeyReused => {
            Problem::new(ProblemKind::KeyReused, detail)
                .with_field("Idempotency-Key")
                .into()
        }
        AppendError::Fenced { .. } => Problem::new(ProblemKind::Fenced, detail)
            .with_field("Ltm-Producer")
            .into(),
        AppendError::TooManyProducers => invalid("Ltm-Producer", detail),
        AppendError::Store(error) => error.into(),
    }
}

fn of_create(error: CreateError) -> ProblemResponse {
    let detail = error.to_string();
    match error {
        CreateError::Taken(_) => Problem::new(ProblemKind::IdTaken, detail)
            .with_field("id")
            .into(),
        CreateError::KeyDeleted { cursor, .. } => Problem::new(ProblemKind::DeletedLtm, detail)
            .with_field("key")
            .with_cursor(cursor)
            .into(),
        CreateError::KeyReused => Problem::new(ProblemKind::KeyReused, detail)
            .with_field("Idempotency-Key")
            .into(),
        CreateError::InProgress => Problem::new(ProblemKind::Busy, detail).into(),
        CreateError::Store(error) => error.into(),
    }
}
