//! What one subscriber is sent. Its lag is a cursor: whoever falls behind reads the log.

use std::{sync::Arc, time::Duration};

use ltm_store::{Store, StoreError, reconnect_pauses};
use ltm_types::{Cursor, LtmId, ResetReason, gone_frame, live_frame};
use tokio::{sync::watch, time::sleep};

use crate::{
    backlog::{Backlog, Behind},
    end::End,
    message::{Message, Wire},
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
    head: watch::Receiver<Head>,
    lease: Lease,
    position: Cursor,
    page: Option<(Arc<[Message]>, usize)>,
    /// The topic's head at which the log was seen to hold nothing after the position.
    up_to_date_at: Option<Head>,
    /// A reset that is owed.
    reset: Option<ResetReason>,
    /// Where the log was at the connect, while the subscriber waits to be told that it is there.
    live_at: Option<Cursor>,
    /// Whether the subscriber knows what a `reset` is.
    knows_reset: bool,
    ended: bool,
    pauses: Option<Box<dyn Iterator<Item = Duration> + Send>>,
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
    ) -> Result<Self, End> {
        let head = lease.topic.head();
        let seen = *head.borrow();
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
            head,
            lease,
            position,
            page: None,
            up_to_date_at: (position == now).then_some(seen),
            reset: (start == Start::State).then_some(ResetReason::Requested),
            live_at: marker.then_some(now),
            knows_reset: start != Start::Now,
            ended: false,
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

    /// The next message, when there is one.
    ///
    /// Nothing is lost where the future is dropped before it is done.
    ///
    /// # Errors
    ///
    /// Why there will be no more.
    pub(crate) async fn next(&mut self) -> Result<Wire, End> {
        loop {
            if self.ended {
                return Err(End::Deleted);
            }
            if let Some(reason) = self.reset {
                match self.backlog.reset(self.id(), reason).await {
                    Ok(message) => {
                        self.reset = None;
                        self.page = None;
                        return Ok(self.take(message));
                    }
                    Err(error) => self.pause_or_end(&error).await?,
                }
                continue;
            }
            if self
                .live_at
                .is_some_and(|live_at| self.position.seq >= live_at.seq)
            {
                self.live_at = None;
                return Ok(Wire::of(&live_frame(self.id(), self.position)));
            }
            if let Some(message) = self.ready() {
                let wire = self.take(message);
                if !wire.is_empty() {
                    return Ok(wire);
                }
                continue;
            }
            self.look_further().await?;
        }
    }

    /// Makes the word that the LTM was deleted the next and last message.
    fn end_at(&mut self, cursor: Cursor) {
        let frame = gone_frame(self.id(), self.position, cursor);
        self.page = Some((Arc::new([frame.into()]), 0));
        (self.reset, self.live_at) = (None, None);
    }

    /// A message that is in memory.
    fn ready(&mut self) -> Option<Message> {
        if let Some((page, next)) = &mut self.page {
            if let Some(message) = page
                .get(*next)
                .filter(|message| message.previous == self.position)
            {
                *next += 1;
                return Some(message.clone());
            }
            self.page = None;
        }
        self.lease.topic.message_after(self.position)
    }

    fn take(&mut self, message: Message) -> Wire {
        self.position = message.cursor;
        self.ended = message.last;
        self.pauses = None;
        message.wire
    }

    /// Waits for news, or reads the log where it may hold more.
    async fn look_further(&mut self) -> Result<(), End> {
        let head = *self.head.borrow_and_update();
        if self.is_up_to_date(head) {
            // The topic outlives its lease, so the sender is there.
            let _ = self.head.changed().await;
            return Ok(());
        }
        match self
            .backlog
            .after(self.id(), head.generation, self.position)
            .await
        {
            Behind::Page(page) => self.page = Some((page, 0)),
            Behind::UpToDate => self.up_to_date_at = Some(head),
            Behind::Lost(reason) if self.knows_reset => self.reset = Some(reason),
            Behind::Lost(_) => return Err(End::Forked),
            Behind::Failed(error) => self.pause_or_end(&error).await?,
        }
        Ok(())
    }

    /// Whether the log holds nothing more, as far as is known at this head of the topic.
    fn is_up_to_date(&self, head: Head) -> bool {
        if head.cursor == Some(self.position) || self.up_to_date_at == Some(head) {
            return true;
        }
        // The topic may still have to hear what this subscriber got from the log.
        let same_history = self
            .up_to_date_at
            .is_some_and(|seen| seen.generation == head.generation);
        same_history
            && head
                .cursor
                .is_none_or(|cursor| cursor.seq < self.position.seq)
    }

    /// After a failure of Redis waits a little; other failures end the subscription.
    async fn pause_or_end(&mut self, error: &StoreError) -> Result<(), End> {
        match error {
            StoreError::Unavailable(_) => {}
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

fn end(id: LtmId, error: &StoreError) -> End {
    match error {
        StoreError::Unknown(id) => End::Unknown(*id),
        StoreError::Deleted { .. } => End::Deleted,
        StoreError::Unavailable(_) => End::OverLimit("Redis does not answer".into()),
        StoreError::Damaged { .. } | StoreError::Refused(_) | StoreError::Trimmed(_) => {
            tracing::error!(%id, %error, "a subscription ended");
            End::Damaged
        }
    }
}
