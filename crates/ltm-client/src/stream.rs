//! What is followed, as streams.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    Stream,
    stream::{BoxStream, unfold},
};
use ltm_types::LtmId;

use crate::{Client, Error, Event, Start, View, follower::Follower};

/// What an LTM does, message by message.
///
/// It connects when it is first polled, and reads from the socket only while it is polled: whoever is slow makes the
/// gateway wait, not this program's memory grow. Whoever does not poll it for longer than two intervals of the
/// gateway's pings is disconnected, and goes on from there at the next poll. It ends after
/// [`Change::Deleted`](crate::Change::Deleted), or after an error. Drop it to leave.
pub struct Follow(BoxStream<'static, Result<Event, Error>>);

impl Follow {
    pub(crate) fn new(client: Client, id: LtmId, start: Start) -> Self {
        let follower = Follower::new(client, id, start);
        Self(Box::pin(unfold(follower, |mut follower| async {
            let heard = follower.next().await?;
            Some((heard, follower))
        })))
    }
}

impl Stream for Follow {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// What an LTM is: each event, and the view after it.
///
/// The first view has the state as of now. Where a message does not fit the view, the state is asked for again. In
/// everything else it is as [`Follow`].
pub struct Views(BoxStream<'static, Result<(Event, View), Error>>);

impl Views {
    pub(crate) fn new(client: Client, id: LtmId) -> Self {
        let follower = Follower::new(client, id, Start::State);
        Self(Box::pin(unfold(
            (follower, View::default()),
            |(mut follower, mut view)| async {
                let item = match follower.next().await? {
                    Ok(event) => {
                        let event = match view.take(&event) {
                            Ok(()) => event,
                            Err(misfit) => follower.reject(misfit.into()),
                        };
                        Ok((event, view.clone()))
                    }
                    Err(error) => Err(error),
                };
                Some((item, (follower, view)))
            },
        )))
    }
}

impl Stream for Views {
    type Item = Result<(Event, View), Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}
