//! One subscriber of a list.

use std::{convert::Infallible, rc::Rc, sync::Arc};

use actix_web::{HttpRequest, web};
use ltm_auth::Grant;
use ltm_service::{ListQuery, Parameters, ProblemResponse, handshake_credential};
use ltm_types::{Cursor, ResetReason};
use tokio::sync::watch;

use crate::{
    fanout::{frames::Frames, worker::Worker},
    http::handshake::count,
    list::{
        feed::{Latest, ListKey, ListUpdate},
        shares::Share,
    },
    metrics::GatewayMetrics,
    subscriber::{
        close::CloseCause,
        follow_request::{FollowOptions, Start},
        outbound::Outbound,
        session_auth::SessionAuth,
    },
};

/// A list that a client follows.
pub(crate) struct FollowedList {
    pub(crate) session_auth: Option<Rc<SessionAuth>>,
    latest: watch::Receiver<Latest>,
    /// What it shows at first.
    first: Arc<ListUpdate>,
    _share: Option<Share<ListKey>>,
}

impl FollowedList {
    /// The list that a request asks for, as soon as it has been read.
    ///
    /// # Errors
    ///
    /// A parameter is wrong, the client may not follow, there are too many lists, or the list cannot be read.
    pub(crate) async fn of(
        request: &HttpRequest,
        worker: &Worker,
        parameters: &Parameters,
    ) -> Result<Self, ProblemResponse> {
        let query = ListQuery::read(parameters)?;
        let gateway = &worker.gateway;
        let credential = handshake_credential(request, request.query_string());
        let session_auth = SessionAuth::of_list(gateway.auth(), gateway.store(), credential).await;
        let known = session_auth.as_ref().ok().and_then(Option::as_deref);
        count(request, known)?;
        let session_auth = session_auth?;
        let session_auth: Option<Rc<SessionAuth>> = session_auth.map(Rc::from);
        let grant = session_auth
            .as_ref()
            .map_or_else(Grant::everything, |it| it.grant());
        let key = ListKey { query, grant };
        let caller = session_auth.as_ref().map(|it| it.caller_key());
        let share = gateway.lists().share(caller, &key);
        let share = share.map_err(|cause| ProblemResponse(cause.problem()))?;
        let latest = gateway.lists().follow(key);
        let mut latest = latest.map_err(|cause| ProblemResponse(cause.problem()))?;
        Ok(Self {
            session_auth,
            first: first(&mut latest).await?,
            latest,
            _share: share,
        })
    }

    /// Delivers the list until the subscription ends.
    pub(crate) async fn deliver(
        self,
        worker: web::Data<Worker>,
        outbound: Rc<Outbound>,
        options: FollowOptions,
    ) -> CloseCause {
        let subscriber = ListSubscriber {
            latest: self.latest,
            known: self.first,
            outbound: &outbound,
            metrics: worker.gateway.metrics(),
        };
        subscriber.run(options).await
    }
}

/// What the list shows, as soon as it has been read.
async fn first(latest: &mut watch::Receiver<Latest>) -> Result<Arc<ListUpdate>, ProblemResponse> {
    let known = latest.wait_for(|it| !matches!(it, Latest::Unread)).await;
    match known.as_deref() {
        Ok(Latest::Read(update)) => Ok(update.clone()),
        Ok(Latest::Failed(error)) => Err((&**error).into()),
        Ok(Latest::Unread) | Err(_) => Err(ProblemResponse(CloseCause::Restarting.problem())),
    }
}

/// One subscriber of a list.
struct ListSubscriber<'a> {
    latest: watch::Receiver<Latest>,
    /// The last content that the subscriber received.
    known: Arc<ListUpdate>,
    outbound: &'a Outbound,
    metrics: &'a GatewayMetrics,
}

impl ListSubscriber<'_> {
    async fn run(mut self, options: FollowOptions) -> CloseCause {
        let Err(cause) = self.deliver(options).await;
        cause
    }

    /// Sends the page, then each change. Returns only why it ends.
    async fn deliver(&mut self, options: FollowOptions) -> Result<Infallible, CloseCause> {
        // A list has no history: a subscriber gets the whole page unless it has it.
        if options.start != Start::After(self.known.page.cursor) {
            let reason = match options.start {
                Start::Now | Start::State | Start::After(Cursor::ORIGIN) => ResetReason::Requested,
                Start::After(_) => ResetReason::Trimmed,
            };
            let reset = Frames::plain(&self.known.page.reset(reason));
            self.send(&reset).await?;
            self.metrics.reset(reason, reset.len());
        }
        if options.live {
            self.send(&Frames::plain(&self.known.page.live())).await?;
        }
        loop {
            // The next content is taken only when the socket has room: a slow subscriber gets fewer, larger
            // changes.
            self.flushed().await?;
            let gone = |_| CloseCause::Restarting;
            self.latest.changed().await.map_err(gone)?;
            let Latest::Read(update) = self.latest.borrow_and_update().clone() else {
                continue;
            };
            let change = update.frames_from(&self.known.page);
            self.send(&change).await?;
            self.metrics.single(change.len());
            self.known = update;
        }
    }

    async fn send(&self, frames: &Frames) -> Result<(), CloseCause> {
        self.flushed().await?;
        self.outbound.send(frames).map(drop).map_err(Into::into)
    }

    async fn flushed(&self) -> Result<(), CloseCause> {
        self.outbound.flushed().await.map_err(|_| CloseCause::Left)
    }
}
