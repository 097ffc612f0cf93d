//! Streams of events and views.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    Stream,
    stream::{BoxStream, unfold},
};
use ltm_types::LtmRef;

use super::{
    event::Event,
    follower::{Follower, Start},
    view::View,
};
use crate::{Error, http::Http};

/// The messages about an LTM, one by one.
///
/// The stream connects at the first poll, and reads the socket only while it is polled. A slow program therefore
/// makes the gateway wait, and its own memory does not grow. If the program does not poll for two ping intervals of
/// the gateway, the gateway closes the connection; the next poll reconnects and resumes. The stream ends after
/// [`Change::Deleted`](crate::Change::Deleted) or an error. Drop it to stop following.
pub struct Follow(BoxStream<'static, Result<Event, Error>>);

impl Follow {
    pub(crate) fn new(http: Http, ltm: LtmRef, start: Start) -> Self {
        let follower = Follower::new(http, ltm, start);
        Self(Box::pin(unfold(follower, |mut follower| async {
            let event = follower.next().await?;
            Some((event, follower))
        })))
    }
}

impl Stream for Follow {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// Each event about an LTM, with the view after it.
///
/// The first view has the current state. If a message does not fit the view, the client requests the state again.
/// Everything else is as in [`Follow`].
pub struct Views(BoxStream<'static, Result<(Event, View), Error>>);

impl Views {
    pub(crate) fn new(http: Http, ltm: LtmRef) -> Self {
        let follower = Follower::new(http, ltm, Start::State);
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
