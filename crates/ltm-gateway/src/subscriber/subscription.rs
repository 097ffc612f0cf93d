//! What one subscriber receives of one LTM. How far it is, is a cursor: a subscriber that falls behind reads the
//! log.

use std::{rc::Rc, sync::Arc, time::Duration};

use futures_util::future::LocalBoxFuture;
use ltm_store::{StoreError, reconnect_pauses};
use ltm_types::{Cursor, LtmId, ResetReason, gone_message, live_message};
use tokio::{task::coop::consume_budget, time::sleep};

use crate::{
    fanout::{
        backlog::{Backlog, Behind},
        frames::Frames,
        live_subscriber::LiveSubscriber,
        message::{Batch, BatchBounds, FramedMessage, LogPageReader},
        topic::TopicHead,
        topics::TopicHandle,
    },
    subscriber::{
        close::CloseCause,
        follow_request::{FollowOptions, Start},
        outbound::Outbound,
    },
};

/// The messages for one subscriber, in order.
pub(crate) struct Subscription {
    backlog: Arc<Backlog>,
    handle: TopicHandle,
    subscriber: Rc<LiveSubscriber>,
    page: Option<LogPageReader>,
    /// The topic's head at which the log held nothing after the subscriber's position.
    up_to_date_at: Option<TopicHead>,
    /// A reset that the subscriber has to receive first.
    reset: Option<ResetReason>,
    /// Whether the subscriber asked for the message that says that it has caught up.
    wants_live: bool,
    /// While the subscriber is owed that message: the cursor at which it gets it, which was the head of the log when
    /// it connected, or is that of its last reset.
    live_at: Option<Cursor>,
    /// Whether the subscriber reads the log.
    catches_up: bool,
    /// Whether the client knows what a `reset` is.
    knows_reset: bool,
    pauses: Option<Box<dyn Iterator<Item = Duration>>>,
}

/// The next step of a subscription.
enum Next {
    /// Send these frames.
    Send(Frames),
    /// Let the topic send what is appended, by [`Subscription::keep_up`], without an `await` before it.
    KeepUp,
}

impl Subscription {
    /// Starts a subscription.
    ///
    /// # Errors
    ///
    /// [`CloseCause::Unknown`], or [`CloseCause::OverLimit`] if Redis is unavailable.
    pub(crate) async fn start(
        handle: TopicHandle,
        backlog: Arc<Backlog>,
        options: FollowOptions,
        outbound: Rc<Outbound>,
    ) -> Result<Self, CloseCause> {
        let seen = handle.topic.head();
        // Only Redis knows the current head: the topic may be an entry behind.
        let (now, gone) = match backlog.head(handle.topic.id).await {
            Ok(now) => (now, None),
            Err(StoreError::Deleted { cursor, .. }) => (cursor, Some(cursor)),
            Err(error) => return Err(ended(handle.topic.id, error)),
        };
        let FollowOptions { start, live } = options;
        let position = match start {
            Start::Now | Start::State => now,
            Start::After(cursor) => cursor,
        };
        let mut subscription = Self {
            backlog,
            handle,
            subscriber: LiveSubscriber::new(outbound, position),
            page: None,
            up_to_date_at: (position == now).then_some(seen),
            reset: (start == Start::State).then_some(ResetReason::Requested),
            wants_live: live,
            live_at: live.then_some(now),
            catches_up: false,
            knows_reset: start != Start::Now,
            pauses: None,
        };
        if subscription.subscriber.inflates() {
            subscription.handle.topic.begin_inflating();
        }
        if let Some(cursor) = gone {
            subscription.end_at(cursor);
        }
        Ok(subscription)
    }

    /// The LTM.
    pub(crate) fn id(&self) -> LtmId {
        self.handle.topic.id
    }

    /// Sends what the subscriber lacks. While it lacks nothing, its topic sends what is appended. Returns why
    /// there will be no more.
    pub(crate) fn deliver(mut self, outbound: Rc<Outbound>) -> LocalBoxFuture<'static, CloseCause> {
        Box::pin(async move { self.send_all(&outbound).await })
    }

    async fn send_all(&mut self, outbound: &Outbound) -> CloseCause {
        loop {
            // A subscriber with a long backlog lets other tasks run.
            consume_budget().await;
            let next = match self.next().await {
                Ok(next) => next,
                Err(cause) => {
                    // A close drops what waits for the socket. A client that does not come back would never get it.
                    if cause.is_final() {
                        let _ = outbound.flushed().await;
                    }
                    return cause;
                }
            };
            if matches!(next, Next::KeepUp) {
                self.keep_up().await;
            }
            if let Next::Send(frames) = &next {
                outbound.prepare(frames).await;
            }
            if outbound.flushed().await.is_err() {
                return CloseCause::Left;
            }
            if let Next::Send(frames) = next {
                match outbound.send(&frames) {
                    Ok(saved) => self.handle.topic.metrics().saved(saved),
                    Err(error) => return error.into(),
                }
            }
        }
    }

    /// The next step. The subscriber's position is already after the frames that it returns.
    ///
    /// # Errors
    ///
    /// Why there will be no more.
    async fn next(&mut self) -> Result<Next, CloseCause> {
        loop {
            if self.subscriber.has_ended() {
                return Err(CloseCause::Deleted);
            }
            if self.handle.has_failed() {
                return Err(CloseCause::Restarting);
            }
            if self.subscriber.take_needs_reset() {
                self.reset.get_or_insert(ResetReason::Requested);
            }
            if let Some(reason) = self.reset {
                // The futures of steps that few subscribers need are boxed, so that the others do not hold
                // their memory.
                match Box::pin(self.owed_reset(reason)).await {
                    Ok(None) => self.reset = None,
                    Ok(Some(message)) => {
                        self.reset = None;
                        self.page = None;
                        self.live_at = self.wants_live.then_some(message.cursor);
                        self.pauses = None;
                        self.subscriber.advance(message.cursor, message.last);
                        self.handle
                            .topic
                            .metrics()
                            .reset(reason, message.frames.len());
                        return Ok(Next::Send(message.frames));
                    }
                    Err(error) => self.pause_or_end(error).await?,
                }
                continue;
            }
            let position = self.subscriber.position();
            if self.live_at == Some(position) {
                self.live_at = None;
                return Ok(Next::Send(Frames::plain(&live_message(
                    self.id(),
                    position,
                ))));
            }
            if !self.must_ask_for_live(position)
                && let Some(batch) = self.ready()
            {
                self.pauses = None;
                self.subscriber.advance(batch.to, batch.last);
                self.handle.topic.metrics().delivered(&batch, 1);
                return Ok(Next::Send(batch.frames));
            }
            let head = self.handle.topic.head();
            // A subscriber that waits for the `live` message reads the log until then: the topic may lack the
            // last entries, and would deliver them without that message.
            if self.live_at.is_none() && self.is_up_to_date(head) {
                self.catches_up = false;
                return Ok(Next::KeepUp);
            }
            Box::pin(self.read_log(head)).await?;
        }
    }

    /// Whether only the log can tell if the subscriber has caught up: it is as far as the head was, but not there, so
    /// the log may have lost its cursor.
    fn must_ask_for_live(&self, position: Cursor) -> bool {
        self.live_at
            .is_some_and(|at| at != position && at.seq <= position.seq)
    }

    /// The reset that the subscriber is owed; `None` if the log holds its cursor again, because the API has repeated
    /// a write that a failover lost.
    async fn owed_reset(&self, reason: ResetReason) -> Result<Option<FramedMessage>, StoreError> {
        let (id, position) = (self.id(), self.subscriber.position());
        let inflates = self.subscriber.inflates();
        let reset = self.backlog.reset(id, reason, inflates).await?;
        if reason == ResetReason::Forked && reset.cursor.seq >= position.seq {
            let compressed = self.subscriber.keeps_context();
            let after = self.backlog.read_now(id, position, compressed).await;
            if !matches!(after, Behind::Lost(_)) {
                return Ok(None);
            }
        }
        Ok(Some(reset))
    }

    /// Lets the topic send what is appended, until the subscriber needs its own task again.
    async fn keep_up(&self) {
        let topic = &self.handle.topic;
        topic.join(&self.subscriber);
        self.subscriber.released().await;
        topic.leave(&self.subscriber);
    }

    /// Makes the deletion of the LTM the next and last message.
    fn end_at(&mut self, cursor: Cursor) {
        let message = gone_message(self.id(), self.subscriber.position(), cursor);
        self.page = Some(LogPageReader::new(Arc::new(
            [message].into_iter().collect(),
        )));
        (self.reset, self.live_at) = (None, None);
    }

    /// The next messages, if they are in memory.
    fn ready(&mut self) -> Option<Batch> {
        let position = self.subscriber.position();
        let mut bounds = self.handle.topic.bounds();
        if let Some(live_at) = self.live_at {
            bounds = BatchBounds {
                last: live_at.seq,
                ..bounds
            };
        }
        if let Some(page) = &mut self.page {
            if let Some(batch) = page.next(position, bounds) {
                return Some(batch);
            }
            self.page = None;
        }
        self.handle.topic.after(position, bounds)
    }

    /// Reads what the log holds after the position; the topic is at `head`.
    async fn read_log(&mut self, head: TopicHead) -> Result<(), CloseCause> {
        let position = self.subscriber.position();
        let id = self.id();
        let decides_live = self.must_ask_for_live(position);
        let compressed = self.subscriber.keeps_context();
        let behind = if decides_live {
            self.backlog.read_now(id, position, compressed).await
        } else {
            let key = (id, head.generation, position, compressed);
            self.backlog.after(key).await
        };
        match behind {
            Behind::Page(page) => {
                if decides_live {
                    self.live_at = Some(position);
                }
                if !std::mem::replace(&mut self.catches_up, true) {
                    self.handle.topic.metrics().catch_up();
                }
                self.page = Some(LogPageReader::new(page));
            }
            Behind::UpToDate => {
                self.up_to_date_at = Some(head);
                // If the log has lost its end, it does not reach the head of the connect any more.
                self.live_at = self.live_at.map(|_| position);
            }
            Behind::Lost(reason) if self.knows_reset => self.reset = Some(reason),
            Behind::Lost(_) => return Err(CloseCause::Forked),
            Behind::Failed(error) => self.pause_or_end(error).await?,
        }
        Ok(())
    }

    /// Whether the log holds nothing more, as far as is known at this head of the topic.
    fn is_up_to_date(&self, head: TopicHead) -> bool {
        let position = self.subscriber.position();
        if head.cursor == Some(position) || self.up_to_date_at == Some(head) {
            return true;
        }
        // The topic may not have received yet what this subscriber read from the log. It has at the next comparison
        // with Redis, unless the log has lost it: then only the log can tell.
        let only_lacks = self
            .up_to_date_at
            .is_some_and(|seen| head.only_follows(seen));
        only_lacks && head.cursor.is_none_or(|cursor| cursor.seq < position.seq)
    }

    /// Pauses after a temporary failure of Redis. Other failures end the subscription.
    async fn pause_or_end(&mut self, error: StoreError) -> Result<(), CloseCause> {
        match error {
            error if error.is_temporary() => {}
            StoreError::Deleted { cursor, .. } => {
                self.end_at(cursor);
                return Ok(());
            }
            error => return Err(ended(self.id(), error)),
        }
        let pauses = self
            .pauses
            .get_or_insert_with(|| Box::new(reconnect_pauses()));
        sleep(pauses.next().unwrap_or_default()).await;
        Ok(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.handle.topic.leave(&self.subscriber);
        if self.subscriber.inflates() {
            self.handle.topic.end_inflating();
        }
    }
}

/// Why a failure of the store ends a subscription. Logs what an operator has to see.
fn ended(id: LtmId, error: StoreError) -> CloseCause {
    let detail = error.to_string();
    let cause = CloseCause::from(error);
    if cause == CloseCause::Damaged {
        tracing::error!(%id, error = detail, "a subscription cannot continue");
    }
    cause
}
