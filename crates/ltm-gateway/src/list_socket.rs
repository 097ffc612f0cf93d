//! `GET /ws/ltms`: a list of LTMs, live, on a WebSocket.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use ltm_auth::Grant;
use ltm_service::{ListQuery, Parameters, ProblemResponse, handshake_credential};
use ltm_types::{Cursor, Problem, ProblemKind, ResetReason};
use tokio::sync::watch;

use crate::{
    end::End,
    handshake::{check_origin, open},
    lists::{Latest, ListKey, Step},
    message::frames,
    metrics::Metrics,
    outbound::Outbound,
    pass::Pass,
    worker::Worker,
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let parameters = Parameters::of(&request)?;
    let query = ListQuery::read(&parameters)?;
    let after = after(&parameters)?;
    let marker = parameters.flag("live")?;
    check_origin(&request, &worker)?;
    let gateway = worker.gateway.clone();
    let shown = handshake_credential(&request, request.query_string());
    let pass = Pass::of_list(gateway.auth(), gateway.store(), shown).await;
    let pass = pass.map_err(ProblemResponse::from)?;
    let grant = pass
        .as_ref()
        .map_or_else(Grant::everything, |it| it.grant());
    let latest = gateway.lists().follow(ListKey { query, grant });
    let mut latest = latest.map_err(|end| ProblemResponse(end.problem()))?;
    let first = first(&mut latest).await?;
    let opened = open(&request, worker, gateway.settings().max_messages).await?;
    let mut socket = opened.socket;
    opened.upgrade.then(async move {
        let outbound = socket.outbound.clone();
        let follower = Follower {
            latest,
            at: first,
            outbound: &outbound,
            metrics: gateway.metrics(),
        };
        let hear = |text: &str| {
            if let Some(pass) = &pass {
                pass.hear(text);
            }
        };
        let work = Box::pin(follower.run(after, marker));
        socket.serve("a list", pass.as_deref(), hear, work).await;
    });
    Ok(opened.response)
}

fn after(parameters: &Parameters) -> Result<Option<Cursor>, ProblemResponse> {
    let cursor = parameters.given("after").map(str::parse).transpose();
    cursor.map_err(|e| {
        let problem = Problem::new(ProblemKind::InvalidCursor, format!("{e}"));
        problem.with_field("after").into()
    })
}

/// What the list shows, once it has been read.
async fn first(latest: &mut watch::Receiver<Latest>) -> Result<Arc<Step>, ProblemResponse> {
    let known = latest.wait_for(|it| !matches!(it, Latest::Unread)).await;
    match known.as_deref() {
        Ok(Latest::Read(step)) => Ok(step.clone()),
        Ok(Latest::Failed(problem)) => Err(problem.clone()),
        Ok(Latest::Unread) | Err(_) => Err(ProblemResponse(End::Restarting.problem())),
    }
}

/// One who follows a list.
struct Follower<'a> {
    latest: watch::Receiver<Latest>,
    /// What it has been told.
    at: Arc<Step>,
    outbound: &'a Outbound,
    metrics: &'a Metrics,
}

impl Follower<'_> {
    /// Tells all that happens until the end.
    async fn run(mut self, after: Option<Cursor>, marker: bool) -> End {
        match self.tell(after, marker).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn tell(
        &mut self,
        after: Option<Cursor>,
        marker: bool,
    ) -> Result<std::convert::Infallible, End> {
        if after != Some(self.at.rows.cursor) {
            let reason = match after {
                None | Some(Cursor::ORIGIN) => ResetReason::Requested,
                // What it showed then is not kept.
                Some(_) => ResetReason::Trimmed,
            };
            let reset = frames(&self.at.rows.reset(reason));
            self.send(&reset).await?;
            self.metrics.reset(reason, reset.len());
        }
        if marker {
            self.send(&frames(&self.at.rows.live())).await?;
        }
        loop {
            // The latest is taken only once there is room: who is slow is told less often.
            self.flushed().await?;
            let gone = |_| End::Restarting;
            self.latest.changed().await.map_err(gone)?;
            let Latest::Read(step) = self.latest.borrow_and_update().clone() else {
                continue;
            };
            let change = step.frames_from(&self.at.rows);
            self.send(&change).await?;
            self.metrics.single(change.len());
            self.at = step;
        }
    }

    async fn send(&self, frames: &Bytes) -> Result<(), End> {
        self.flushed().await?;
        if self.outbound.send(frames) {
            return Ok(());
        }
        Err(End::Left)
    }

    async fn flushed(&self) -> Result<(), End> {
        self.outbound.flushed().await.map_err(|_| End::Left)
    }
}
