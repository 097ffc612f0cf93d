//! AG-UI (<https://docs.ag-ui.com>): an LTM as the run of an agent, for any client of that protocol.
//!
//! - `translation`: what a message becomes, for all subscribers of a thread at once; `delta` for a patch, `state` and
//!   `message_list` for a whole state;
//! - `run`: one answer: its runs, and what is `open` in them; `run_events`: the begin and the end of a run;
//! - `event`: the events as text.

mod delta;
mod event;
mod message_list;
mod open;
mod run;
mod run_events;
mod state;
mod translation;

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_types::LtmId;
use serde_json::json;

use self::{event::small, run::Runs};
pub(crate) use self::{run::RunRequest, translation::Translations};
use super::answer::{Dialect, Events, Then};
use crate::subscriber::close::CloseCause;

/// The events of one answer.
pub(crate) struct Agui {
    translations: Rc<Translations>,
    runs: RefCell<Runs>,
}

impl Agui {
    /// The events of an answer to this request about the LTM with this id. A client that resumes gives the message with the
    /// current state: it says how the run stands if no later entry does.
    pub(crate) async fn new(
        translations: Rc<Translations>,
        request: RunRequest,
        id: LtmId,
        head: Option<Vec<Bytes>>,
    ) -> Self {
        if let Some(text) = &head {
            translations.prepare(text, false).await;
        }
        let head = head.map(|text| translations.of(text, false));
        let runs = RefCell::new(Runs::new(request, id.to_string(), head));
        Self { translations, runs }
    }
}

impl Agui {
    /// Whether the run had ended when a client that resumes came.
    pub(crate) fn is_over(&self) -> bool {
        self.runs.borrow().is_over()
    }
}

/// The answer about a thread of which nothing is known: a run that ends at once, with an error if there is one.
pub(crate) fn lone_run(thread: &str, run: &str, error: Option<(&str, &str)>) -> Bytes {
    let started = small(&json!({"type": "RUN_STARTED", "threadId": thread, "runId": run}));
    let ended = match error {
        None => json!({"type": "RUN_FINISHED", "threadId": thread, "runId": run}),
        Some((code, message)) => json!({"type": "RUN_ERROR", "message": message, "code": code}),
    };
    [started, small(&ended)].concat().into()
}

impl Dialect for Agui {
    fn prepare(&self, text: Vec<Bytes>) -> LocalBoxFuture<'_, ()> {
        let is_recorded = self.runs.borrow().recorded;
        async move { self.translations.prepare(&text, is_recorded).await }.boxed_local()
    }

    fn is_prepared(&self, text: &[Bytes]) -> bool {
        let is_recorded = self.runs.borrow().recorded;
        self.translations.is_prepared(text, is_recorded)
    }

    fn message(&self, text: Vec<Bytes>, events: &mut Events) -> Then {
        let mut runs = self.runs.borrow_mut();
        let translation = self.translations.of(text, runs.recorded);
        runs.message(&translation, events)
    }

    fn end(&self, _: Option<LtmId>, cause: &CloseCause, events: &mut Events) {
        // After any other cause the client can resume. An answer that ends without a last event keeps its state.
        let code = match cause {
            CloseCause::Deleted => "deleted",
            CloseCause::Damaged => "damaged",
            _ => return,
        };
        self.runs
            .borrow_mut()
            .fail(code, &cause.to_string(), events);
    }

    fn ends_when_stalled(&self) -> bool {
        true
    }
}
