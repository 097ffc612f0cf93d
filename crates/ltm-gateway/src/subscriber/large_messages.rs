//! The memory of large messages that wait for slow subscribers.
//!
//! A small message that waits is bounded by `gateway.page` for each subscriber. A large one is as large as a state, and
//! subscribers at different cursors each wait for their own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ltm_service::LimitsHit;

use crate::fanout::frames::Frames;

/// The frames of a larger message, or of several, are large.
pub(crate) const LARGE: usize = 64 * 1024;

/// The large messages of a process that wait. Clones share them.
#[derive(Clone)]
pub(crate) struct LargeMessages {
    inner: Arc<Inner>,
}

struct Inner {
    /// The most bytes.
    max: usize,
    waiting: Mutex<Waiting>,
    limits: LimitsHit,
}

#[derive(Default)]
struct Waiting {
    /// By the place of their bytes in memory.
    messages: HashMap<usize, Message>,
    bytes: usize,
}

struct Message {
    /// Kept, so that no other message takes its place.
    frames: Frames,
    /// How many subscribers wait for it.
    subscribers: usize,
}

/// The memory of a large message that waits for one subscriber. It is returned when this is dropped.
pub(crate) struct Room {
    messages: LargeMessages,
    place: usize,
}

impl LargeMessages {
    /// No messages, and room for this many bytes.
    pub(crate) fn new(max: usize, limits: LimitsHit) -> Self {
        Self {
            inner: Arc::new(Inner {
                max,
                waiting: Mutex::default(),
                limits,
            }),
        }
    }

    /// Takes room for a large message; `None` if there is none. Subscribers that wait for the same bytes share it.
    pub(crate) fn take(&self, frames: &Frames) -> Option<Room> {
        let place = place(frames);
        let mut waiting = self.waiting();
        if !waiting.fit(frames, self.inner.max) {
            drop(waiting);
            self.inner.limits.hit("gateway.large_messages");
            return None;
        }
        if !waiting.messages.contains_key(&place) {
            waiting.bytes += frames.weight();
        }
        let message = waiting.messages.entry(place).or_insert_with(|| Message {
            frames: frames.clone(),
            subscribers: 0,
        });
        message.subscribers += 1;
        drop(waiting);
        Some(Room {
            messages: self.clone(),
            place,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let waiting = &self.inner.waiting;
        waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(frames: &Frames) -> usize {
    frames.uncompressed().as_ptr().addr()
}

impl Waiting {
    /// A message that is larger than the limit has room if nothing else waits.
    fn fit(&self, frames: &Frames, max: usize) -> bool {
        self.bytes == 0
            || self.messages.contains_key(&place(frames))
            || self.bytes + frames.weight() <= max
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut waiting = self.messages.waiting();
        let Some(message) = waiting.messages.get_mut(&self.place) else {
            return;
        };
        message.subscribers -= 1;
        if message.subscribers == 0 {
            let gone = waiting.messages.remove(&self.place);
            waiting.bytes -= gone.map_or(0, |message| message.frames.weight());
        }
    }
}

#[cfg(test)]
impl LargeMessages {
    pub(crate) fn unlimited() -> Self {
        Self::new(usize::MAX, LimitsHit::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_that_wait_for_the_same_message_share_its_room() {
        let messages = LargeMessages::new(250_000, LimitsHit::default());
        let [one, other, third] = [(); 3].map(|()| Frames::plain(&"x".repeat(100_000)));
        let rooms = [messages.take(&one).unwrap(), messages.take(&one).unwrap()];
        let more = messages.take(&other).unwrap();
        assert!(messages.take(&third).is_none());
        let [first, second] = rooms;
        drop(first);
        assert!(messages.take(&third).is_none(), "the second still waits");
        drop(second);
        drop(messages.take(&third).unwrap());
        drop(more);
        assert_eq!(messages.waiting().bytes, 0);
        let huge = Frames::plain(&"x".repeat(300_000));
        assert!(messages.take(&huge).is_some(), "it is alone");
    }
}
