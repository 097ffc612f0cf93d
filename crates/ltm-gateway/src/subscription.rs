//! What one subscriber is sent. Its lag is a cursor: whoever falls behind reads the log.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use ltm_store::{Store, StoreError, reconnect_pauses};
use ltm_types::{Cursor, LtmId, ResetReason, gone_frame, live_frame};
use tokio::{task::coop::consume_budget, time::sleep};

use crate::{
    backlog::{Backlog, Behind},
    end::End,
    member::Member,
    message::{Batch, BatchBounds, Message, PageReader, frames},
    outbound::Outbound,
    topic::Head,
    topics::Lease,
};

/// Where a subscriber begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At what comes from now on.
    Now,
    /// After this cursor.
    After(Cursor),
    /// With the state as it is now.
    State,
}

/// The messages for one subscriber, in order.
pub(crate) struct Subscription {
    backlog: Arc<Backlog>,
    lease: Lease,
    member: Rc<Member>,
    page: Option<PageReader>,
    /// The topic's head at which the log was seen to hold nothing after the position.
    up_to_date_at: Option<Head>,
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
    /// Begins. `marker` asks for the message that says when what was there has been sent.
    ///
    /// # Errors
    ///
    /// [`End::Unknown`], or [`End::OverLimit`] where Redis does not answer.
    pub(crate) async fn begin(
        lease: Lease,
        store: &Store,
        backlog: Arc<Backlog>,
        start: Start,
        marker: bool,
        outbound: Rc<Outbound>,
    ) -> Result<Self, End> {
        let seen = lease.topic.head();
        // Only Redis knows what "now" is: the topic may be a message behind.
        let (now, gone) = match store.head(lease.topic.id).await {
            Ok(now) => (now, None),
            Err(StoreError::Deleted { cursor, .. }) => (cursor, Some(cursor)),
            Err(error) => return Err(end(lease.topic.id, &error)),
        };
        let position = match start {
            Start::Now | Start::State => now,
            Start::After(cursor) => cursor,
        };
        let mut subscription = Self {
            backlog,
            lease,
            member: Member::new(outbound, position),
            page: None,
            up_to_date_at: (position == now).then_some(seen),
            reset: (start == Start::State).then_some(ResetReason::Requested),
            live_at: marker.then_some(now),
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
        self.lease.topic.id
    }

    /// Sends what the subscriber lacks; what comes once it lacks nothing, its topic sends. Ends where there will be no more.
    pub(crate) fn deliver(mut self, outbound: Rc<Outbound>) -> LocalBoxFuture<'static, End> {
        Box::pin(async move { self.send_all(&outbound).await })
    }

    async fn send_all(&mut self, outbound: &Outbound) -> End {
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
                return End::Left;
            }
            if let Next::Send(frames) = next
                && !outbound.send(&frames)
            {
                return End::Left;
            }
        }
    }

    /// What is to be done next. The subscriber counts as having what is to be sent.
    ///
    /// # Errors
    ///
    /// Why there will be no more.
    async fn next(&mut self) -> Result<Next, End> {
        loop {
            if self.member.has_ended() {
                return Err(End::Deleted);
            }
            if let Some(reason) = self.reset {
                // What only some need some time takes its memory only then.
                match Box::pin(self.owed_reset(reason)).await {
                    Ok(None) => self.reset = None,
                    Ok(Some(message)) => {
                        self.reset = None;
                        self.page = None;
                        self.pauses = None;
                        self.member.advance(message.cursor, message.last);
                        self.lease
                            .topic
                            .metrics()
                            .reset(reason, message.frames.len());
                        return Ok(Next::Send(message.frames));
                    }
                    Err(error) => self.pause_or_end(&error).await?,
                }
                continue;
            }
            let position = self.member.position();
            if self.live_at.is_some_and(|at| position.seq >= at.seq) {
                self.live_at = None;
                return Ok(Next::Send(frames(&live_frame(self.id(), position))));
            }
            if let Some(batch) = self.ready() {
                self.pauses = None;
                self.member.advance(batch.to, batch.last);
                self.lease.topic.metrics().delivered(&batch, 1);
                return Ok(Next::Send(batch.frames));
            }
            let head = self.lease.topic.head();
            // Who is to be told that it has all reads the log until then: the topic may not have heard of it yet, and would
            // send it without a word.
            if self.live_at.is_none() && self.is_up_to_date(head) {
                self.catches_up = false;
                return Ok(Next::KeepUp);
            }
            Box::pin(self.read_log(head)).await?;
        }
    }

    /// The reset that the subscriber is to get; `None` if the log holds its cursor again, because the API has repeated
    /// a write that a failover lost.
    async fn owed_reset(&self, reason: ResetReason) -> Result<Option<Message>, StoreError> {
        let (id, position) = (self.id(), self.member.position());
        let reset = self.backlog.reset(id, reason).await?;
        if reason == ResetReason::Forked && reset.cursor.seq >= position.seq {
            let generation = self.lease.topic.head().generation;
            let after = self.backlog.after(id, generation, position).await;
            if !matches!(after, Behind::Lost(_)) {
                return Ok(None);
            }
        }
        Ok(Some(reset))
    }

    /// Lets the topic send what comes, until that is not enough.
    async fn keep_up(&self) {
        let topic = &self.lease.topic;
        topic.join(&self.member);
        self.member.released().await;
        topic.leave(&self.member);
    }

    /// Makes the word that the LTM was deleted the next and last message.
    fn end_at(&mut self, cursor: Cursor) {
        let frame = gone_frame(self.id(), self.member.position(), cursor);
        self.page = Some(PageReader::new(Arc::new([frame].into_iter().collect())));
        (self.reset, self.live_at) = (None, None);
    }

    /// Messages that are in memory.
    fn ready(&mut self) -> Option<Batch> {
        let position = self.member.position();
        let mut bounds = self.lease.topic.bounds();
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
        self.lease.topic.after(position, bounds)
    }

    /// Reads what the log holds, where the topic is at `head`.
    async fn read_log(&mut self, head: Head) -> Result<(), End> {
        let position = self.member.position();
        let id = self.id();
        match self.backlog.after(id, head.generation, position).await {
            Behind::Page(page) => {
                if !std::mem::replace(&mut self.catches_up, true) {
                    self.lease.topic.metrics().catch_up();
                }
                self.page = Some(PageReader::new(page));
            }
            Behind::UpToDate => {
                self.up_to_date_at = Some(head);
                // There is no more, even if there was: the log has lost its end.
                self.live_at = self.live_at.map(|_| position);
            }
            Behind::Lost(reason) if self.knows_reset => self.reset = Some(reason),
            Behind::Lost(_) => return Err(End::Forked),
            Behind::Failed(error) => self.pause_or_end(&error).await?,
        }
        Ok(())
    }

    /// Whether the log holds nothing more, as far as is known at this head of the topic.
    fn is_up_to_date(&self, head: Head) -> bool {
        let position = self.member.position();
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
    async fn pause_or_end(&mut self, error: &StoreError) -> Result<(), End> {
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
        self.lease.topic.leave(&self.member);
    }
}

fn end(id: LtmId, error: &StoreError) -> End {
    match error {
        StoreError::Unknown(id) => End::Unknown(*id),
        StoreError::Deleted { .. } => End::Deleted,
        error if error.is_temporary() => End::OverLimit("Redis is unavailable".into()),
        StoreError::Damaged { .. }
        | StoreError::Unavailable(_)
        | StoreError::Rejected(_)
        | StoreError::Setting { .. }
        | StoreError::Unexpected(_)
        | StoreError::Trimmed(_) => {
            tracing::error!(%id, %error, "a subscription ended");
            End::Damaged
        }
    }
}
