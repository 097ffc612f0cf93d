//! The run that a recorder records: what the state says of it.

use json_patch::PatchOperation;
use ltm_types::member::{RUN, STATUS};
use serde_json::{Map, Value, json};

use super::{event::Event, messages::add};

/// The most bytes of an outcome, a result or an error that the state keeps. The item of the entry has them in any case.
const MAX_KEPT: usize = 64 * 1024;

/// The run that a recorder records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The id of the thread.
    pub thread: String,
    /// The id of the run.
    pub run: String,
    /// After how many seconds without an entry the run counts as lost; `None`: never.
    pub lease: Option<u64>,
}

impl Run {
    pub(super) fn to_value(&self) -> Value {
        let mut value = json!({"threadId": self.thread, "runId": self.run});
        if let Some(lease) = self.lease {
            value["lease"] = lease.into();
        }
        value
    }

    /// The run in the state of an LTM; `None` if the LTM has no run.
    pub fn of_state(state: &Map<String, Value>) -> Option<Self> {
        let run = state.get(RUN)?;
        Some(Self {
            thread: run["threadId"].as_str()?.into(),
            run: run["runId"].as_str()?.into(),
            lease: run["lease"].as_u64(),
        })
    }

    /// Whether the LTM with this state is in a run.
    pub fn is_active(state: &Map<String, Value>) -> bool {
        Self::of_state(state).is_some() && state.get(STATUS).is_some_and(|it| it == "active")
    }
}

/// How a run ends that its agent does not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody stopped it.
    Cancelled,
    /// It failed.
    Failed {
        /// A short name of the reason: `upstream-cut`.
        code: &'static str,
        /// The reason.
        message: String,
    },
}

/// What the end of a run changes in the state: a page that comes later learns from it how the run ended.
pub(super) fn ended(event: &Event) -> Vec<PatchOperation> {
    let interrupted = || {
        event
            .get("outcome")
            .is_some_and(|it| it["type"] == "interrupt")
    };
    let status = match event.kind() {
        "RUN_ERROR" => "error",
        _ if interrupted() => "interrupted",
        _ => "finished",
    };
    let mut patch = vec![add(vec![STATUS.into()], status.into())];
    let mut keep = |member: &str, value: &Value| {
        if value.to_string().len() <= MAX_KEPT {
            patch.push(add(vec![RUN.into(), member.into()], value.clone()));
        }
    };
    if status == "error" {
        let mut error = json!({"message": event.id("message")});
        if let Some(code) = event.text("code") {
            error["code"] = code.into();
        }
        keep("error", &error);
        return patch;
    }
    for member in ["outcome", "result"] {
        if let Some(value) = event.get(member).filter(|it| !it.is_null()) {
            keep(member, value);
        }
    }
    patch
}
