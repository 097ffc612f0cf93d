//! What one subscriber is sent. Its lag is a cursor: whoever falls behind reads the log.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use ltm_store::{Store, StoreError, reconnect_pauses};
use ltm_types::{Cursor, LtmId, ResetReason, gone_message, live_message};
use tokio::{task::coop::consume_budget, time::sleep};

use crate::{
    fanout::{
        backlog::{Backlog, Behind},
        live_subscriber::LiveSubscriber,
        message::{Batch, BatchBounds, LogPageReader, frames},
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
    /// The topic's head at which the log was seen to hold nothing after the position.
    up_to_date_at: Option<TopicHead>,
    /// A reset that is owed.
    reset: Option<ResetReason>,
    /// Where the log was at the connect, while the subscriber waits to be told that it is there.
    live_at: Option<Cursor>,
    /// Whether it reads the log.
    catches_up: bool,
    /// Whether the subscriber knows what a `reset` is.
    knows_reset: bool,
    pauses: Option<Box<dyn Iterator<Item = Duration>>>,
}

/// What is to be done next.
enum Next {
    /// These frames are to be sent.
    Send(Bytes),
    /// Nothing: whatever comes is to be waited for, by [`Subscription::keep_up`], at once.
    KeepUp,
}

impl Subscription {
    /// Begins a subscription.
    ///
    /// # Errors
    ///
    /// [`CloseCause::Unknown`], or [`CloseCause::OverLimit`] where Redis does not answer.
    pub(crate) async fn start(
        handle: TopicHandle,
        store: &Store,
        backlog: Arc<Backlog>,
        options: FollowOptions,
        outbound: Rc<Outbound>,
    ) -> Result<Self, CloseCause> {
        let seen = handle.topic.head();
        // Only Redis knows what "now" is: the topic may be a message behind.
        let (now, gone) = match store.head(handle.topic.id).await {
            Ok(now) => (now, None),
            Err(StoreError::Deleted { cursor, .. }) => (cursor, Some(cursor)),
            Err(error) => return Err(end(handle.topic.id, &error)),
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
            live_at: live.then_some(now),
            catches_up: false,
            knows_reset: start != Start::Now,
            pauses: None,
        };
        if let Some(cursor) = gone {
            subscription.end_at(cursor);
        }
        Ok(subscription)
    }

    /// Whose log this is.
    pub(crate) fn id(&self) -> LtmId {
        self.handle.topic.id
    }

    /// Sends what the subscriber lacks; what comes once it lacks nothing, its topic sends. Ends where there will be no more.
    pub(crate) fn deliver(mut self, outbound: Rc<Outbound>) -> LocalBoxFuture<'static, CloseCause> {
        Box::pin(async move { self.send_all(&outbound).await })
    }

    async fn send_all(&mut self, outbound: &Outbound) -> CloseCause {
        loop {
            // Who has much to catch up on lets others have their turn.
            consume_budget().await;
            let next = match self.next().await {
                Ok(next) => next,
                Err(end) => return end,
            };
            if matches!(next, Next::KeepUp) {
                self.keep_up().await;
            }
            if outbound.flushed().await.is_err() {
                return CloseCause::Left;
            }
            if let Next::Send(frames) = next
                && !outbound.send(&frames)
            {
                return CloseCause::Left;
            }
        }
    }

    /// What is to be done next. The subscriber counts as having what is to be sent.
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
            if let Some(reason) = self.reset {
                // What only some need some time takes its memory only then.
                match Box::pin(self.backlog.reset(self.id(), reason)).await {
                    Ok(message) => {
                        self.reset = None;
                        self.page = None;
                        self.pauses = None;
                        self.subscriber.advance(message.cursor, message.last);
                        self.handle
                            .topic
                            .metrics()
                            .reset(reason, message.frames.len());
                        return Ok(Next::Send(message.frames));
                    }
                    Err(error) => self.pause_or_end(&error).await?,
                }
                continue;
            }
            let position = self.subscriber.position();
            if self.live_at.is_some_and(|at| position.seq >= at.seq) {
                self.live_at = None;
                return Ok(Next::Send(frames(&live_message(self.id(), position))));
            }
            if let Some(batch) = self.ready() {
                self.pauses = None;
                self.subscriber.advance(batch.to, batch.last);
                self.handle.topic.metrics().delivered(&batch, 1);
                return Ok(Next::Send(batch.frames));
            }
            let head = self.handle.topic.head();
            // Who is to be told that it has all reads the log until then: the topic may not have heard of it yet, and would
            // send it without a word.
            if self.live_at.is_none() && self.is_up_to_date(head) {
                self.catches_up = false;
                return Ok(Next::KeepUp);
            }
            Box::pin(self.read_log(head)).await?;
        }
    }

    /// Lets the topic send what comes, until that is not enough.
    async fn keep_up(&self) {
        let topic = &self.handle.topic;
        topic.join(&self.subscriber);
        self.subscriber.released().await;
        topic.leave(&self.subscriber);
    }

    /// Makes the word that the LTM was deleted the next and last message.
    fn end_at(&mut self, cursor: Cursor) {
        let frame = gone_message(self.id(), self.subscriber.position(), cursor);
        self.page = Some(LogPageReader::new(Arc::new([frame].into_iter().collect())));
        (self.reset, self.live_at) = (None, None);
    }

    /// Messages that are in memory.
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

    /// Reads what the log holds, where the topic is at `head`.
    async fn read_log(&mut self, head: TopicHead) -> Result<(), CloseCause> {
        let position = self.subscriber.position();
        let id = self.id();
        match self.backlog.after(id, head.generation, position).await {
            Behind::Page(page) => {
                if !std::mem::replace(&mut self.catches_up, true) {
                    self.handle.topic.metrics().catch_up();
                }
                self.page = Some(LogPageReader::new(page));
            }
            Behind::UpToDate => {
                self.up_to_date_at = Some(head);
                // There is no more, even if there was: the log has lost its end.
                self.live_at = self.live_at.map(|_| position);
            }
            Behind::Lost(reason) if self.knows_reset => self.reset = Some(reason),
            Behind::Lost(_) => return Err(CloseCause::Forked),
            Behind::Failed(error) => self.pause_or_end(&error).await?,
        }
        Ok(())
    }

    /// Whether the log holds nothing more, as far as is known at this head of the topic.
    fn is_up_to_date(&self, head: TopicHead) -> bool {
        let position = self.subscriber.position();
        if head.cursor == Some(position) || self.up_to_date_at == Some(head) {
            return true;
        }
        // The topic may still have to hear what this subscriber got from the log.
        let same_history = self
            .up_to_date_at
            .is_some_and(|seen| seen.generation == head.generation);
        same_history && head.cursor.is_none_or(|cursor| cursor.seq < position.seq)
    }

    /// After a failure of Redis waits a little; other failures end the subscription.
    async fn pause_or_end(&mut self, error: &StoreError) -> Result<(), CloseCause> {
        match error {
            error if error.is_temporary() => {}
            StoreError::Deleted { cursor, .. } => {
                self.end_at(*cursor);
                return Ok(());
            }
            _ => return Err(end(self.id(), error)),
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
    }
}

fn end(id: LtmId, error: &StoreError) -> CloseCause {
    match error {
        StoreError::Unknown(id) => CloseCause::Unknown(*id),
        StoreError::Deleted { .. } => CloseCause::Deleted,
        error if error.is_temporary() => CloseCause::OverLimit("Redis is unavailable".into()),
        StoreError::Damaged { .. }
        | StoreError::Unavailable(_)
        | StoreError::Rejected(_)
        | StoreError::Setting { .. }
        | StoreError::Unexpected(_)
        | StoreError::Trimmed(_) => {
            tracing::error!(%id, %error, "a subscription ended");
            CloseCause::Damaged
        }
    }
}
