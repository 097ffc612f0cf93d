//! A client: it reads its socket as slowly as the story wants, and checks everything that it receives.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_tests::Inflater;
use ltm_types::{Cursor, LtmId, ResetReason, gone_message, live_message, reset_message};
use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_local},
};

use super::{
    thread::{Gateway, GatewayThread},
    world::World,
};
use crate::{
    compression::negotiation::Agreement,
    fanout::frames::frame_length,
    subscriber::{
        follow_request::{FollowOptions, Start},
        large_messages::LargeMessages,
        outbound::{Outbound, Peer},
        subscription::Subscription,
    },
};

/// The socket between the gateway and a client: it accepts bytes up to its capacity.
struct Wire {
    unread: RefCell<Vec<u8>>,
    capacity: Cell<usize>,
    has_room: Notify,
}

impl Wire {
    fn room(&self) -> usize {
        self.capacity
            .get()
            .saturating_sub(self.unread.borrow().len())
    }

    /// Reads up to this many bytes.
    fn read(&self, count: usize) -> Vec<u8> {
        let mut unread = self.unread.borrow_mut();
        let count = count.min(unread.len());
        self.has_room.notify_waiters();
        unread.drain(..count).collect()
    }
}

impl Peer for Wire {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.room().min(bytes.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.unread.borrow_mut().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn writable(&self) -> LocalBoxFuture<'_, io::Result<()>> {
        async move {
            while self.room() == 0 {
                self.has_room.notified().await;
            }
            Ok(())
        }
        .boxed_local()
    }

    fn shut_down(&self) {}
}

/// One connection of a client, and what it knows from the earlier ones.
pub(super) struct Client {
    pub id: LtmId,
    pub thread: usize,
    pub options: FollowOptions,
    pub capacity: usize,
    /// Its cursor; `None` until it has received something.
    pub cursor: Option<Cursor>,
    /// The code with which the gateway closed the connection.
    pub closed: Option<u16>,
    world: Arc<World>,
    connected_at: u64,
    /// The heads of the log while the subscription started: a client that asked for neither state nor cursor starts
    /// at one of them.
    heads: (usize, Rc<Cell<Option<usize>>>),
    is_live: bool,
    was_deleted: bool,
    wire: Rc<Wire>,
    /// The bytes of an incomplete frame, the payload of an incomplete message, and whether that is compressed.
    bytes: Vec<u8>,
    payload: Vec<u8>,
    is_compressed: bool,
    inflater: Option<Inflater>,
    task: JoinHandle<()>,
}

impl Client {
    /// Connects to a thread of the gateway.
    pub(super) fn connect(
        gateway: &Gateway,
        (thread, number): (&GatewayThread, usize),
        id: LtmId,
        options: FollowOptions,
        capacity: usize,
        compression: Option<Agreement>,
    ) -> Self {
        let wire = Rc::new(Wire {
            unread: RefCell::default(),
            capacity: Cell::new(capacity),
            has_room: Notify::new(),
        });
        let world = gateway.world.clone();
        let (connected_at, heads) = {
            let logs = world.logs();
            (logs.now, logs.heads_of(id).len())
        };
        let started = Rc::new(Cell::new(None));
        let outbound = Rc::new(Outbound::new(
            wire.clone(),
            compression,
            LargeMessages::unlimited(),
        ));
        let (topics, backlog) = (thread.topics.clone(), gateway.backlog.clone());
        let (ends, knows) = (started.clone(), world.clone());
        let task = spawn_local(async move {
            let subscription = match topics.follow(id) {
                Ok(handle) => Subscription::start(handle, backlog, options, outbound.clone()).await,
                Err(cause) => Err(cause),
            };
            ends.set(Some(knows.logs().heads_of(id).len()));
            let cause = match subscription {
                Ok(subscription) => subscription.deliver(outbound.clone()).await,
                Err(cause) => cause,
            };
            outbound.close(cause.close_reason());
            let _ = outbound.flushed().await;
        });
        let cursor = match options.start {
            Start::After(cursor) => Some(cursor),
            Start::Now | Start::State => None,
        };
        Self {
            id,
            thread: number,
            options,
            capacity,
            cursor,
            closed: None,
            world,
            connected_at,
            heads: (heads.saturating_sub(1), started),
            is_live: false,
            was_deleted: false,
            wire,
            bytes: Vec::new(),
            payload: Vec::new(),
            is_compressed: false,
            inflater: compression
                .map(|it| Inflater::new(it.max_window_bits.unwrap_or(15), it.takeover)),
            task,
        }
    }

    /// Lets the socket accept everything from now on.
    pub(super) fn hurry(&self) {
        self.wire.capacity.set(usize::MAX);
        self.wire.has_room.notify_waiters();
    }

    /// Reads up to this many bytes, and checks the messages in them.
    pub(super) fn read(&mut self, count: usize) -> Result<(), String> {
        self.bytes.extend(self.wire.read(count));
        while let Some((first, payload)) = next_frame(&mut self.bytes) {
            if self.closed.is_some() {
                return Err("something comes after the close".into());
            }
            match first & 0x0f {
                0 | 1 => {
                    self.payload.extend(payload);
                    self.is_compressed |= first & 0x40 != 0;
                    if first & 0x80 != 0 {
                        let text = self.text()?;
                        self.take(&text)
                            .map_err(|wrong| format!("{wrong}: {text}"))?;
                    }
                }
                8 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    self.closed = Some(code);
                    self.check_close(code)?;
                }
                other => return Err(format!("a frame with the opcode {other}")),
            }
        }
        Ok(())
    }

    /// The text of the message that has ended.
    fn text(&mut self) -> Result<String, String> {
        let mut text = std::mem::take(&mut self.payload);
        if std::mem::take(&mut self.is_compressed) {
            let inflater = self.inflater.as_mut();
            let inflater = inflater.ok_or("a compressed message that nobody agreed on")?;
            text = inflater.message(&text)?;
        }
        String::from_utf8(text).map_err(|error| error.to_string())
    }

    /// Whether this cursor may be where the client is now.
    fn is_at(&self, cursor: Cursor) -> bool {
        if let Some(at) = self.cursor {
            return at == cursor;
        }
        let (from, to) = &self.heads;
        let logs = self.world.logs();
        let heads = logs.heads_of(self.id);
        let heads = &heads[(*from).min(heads.len())..to.get().unwrap_or(heads.len())];
        self.options.start == Start::Now && heads.contains(&cursor)
    }

    fn take(&mut self, text: &str) -> Result<(), String> {
        let cursor = cursor_of(text).ok_or("a message without a cursor")?;
        if self.was_deleted {
            return Err("a message after the deletion".into());
        }
        let deletion = gone_message(self.id, cursor, cursor).text;
        if *text == *live_message(self.id, cursor) {
            self.take_live(cursor)?;
        } else if *text == *deletion {
            if !self.world.logs().was_deleted_at(self.id, cursor) {
                return Err("the LTM is not deleted".into());
            }
            self.was_deleted = true;
        } else if let Some(reason) = reset_in(text) {
            self.take_reset(cursor, reason, text)?;
        } else {
            let logs = self.world.logs();
            let fact = logs.fact(self.id, cursor).ok_or("an unknown entry")?;
            let (previous, is_same) = (fact.previous, fact.message == text);
            drop(logs);
            if !is_same {
                return Err("another entry has this cursor".into());
            }
            if !self.is_at(previous) {
                return Err(format!("an entry for {previous} at {:?}", self.cursor));
            }
        }
        self.cursor = Some(cursor);
        Ok(())
    }

    fn take_live(&mut self, cursor: Cursor) -> Result<(), String> {
        if !self.options.live || self.is_live {
            return Err("`live` that nobody asked for".into());
        }
        if !self.is_at(cursor) {
            return Err(format!("`live` at another cursor than {:?}", self.cursor));
        }
        let logs = self.world.logs();
        let fact = logs.fact(self.id, cursor);
        let lost_at = fact.ok_or("`live` about an unknown entry")?.lost_at;
        if lost_at.is_some_and(|at| at < self.connected_at) {
            return Err("`live` about an entry that the log had lost before".into());
        }
        drop(logs);
        self.is_live = true;
        Ok(())
    }

    fn take_reset(
        &mut self,
        cursor: Cursor,
        reason: ResetReason,
        text: &str,
    ) -> Result<(), String> {
        let logs = self.world.logs();
        let fact = logs.fact(self.id, cursor).ok_or("a reset to nowhere")?;
        let (state, count) = (&fact.state, fact.snapshots_count);
        if *text != *reset_message(self.id, cursor, reason, state, count).text {
            return Err(format!("the state at this cursor is {state}"));
        }
        let was_lost = || {
            let fact = self.cursor.and_then(|at| logs.fact(self.id, at));
            fact.is_none_or(|fact| fact.was_lost)
        };
        let is_due = match reason {
            ResetReason::Requested => self.cursor.is_none() && self.options.start == Start::State,
            ResetReason::Trimmed => logs.was_trimmed(self.id) || was_lost(),
            ResetReason::Forked => was_lost(),
        };
        if !is_due || self.options.start == Start::Now {
            return Err("a reset without a reason".into());
        }
        drop(logs);
        self.is_live = false;
        Ok(())
    }

    fn check_close(&self, code: u16) -> Result<(), String> {
        let logs = self.world.logs();
        let is_due = match code {
            4410 => self.was_deleted,
            4404 => logs.was_unknown_since(self.id, self.connected_at),
            4409 => {
                let fact = self.cursor.and_then(|at| logs.fact(self.id, at));
                let was_lost = fact.is_none_or(|fact| fact.was_lost);
                self.options.start == Start::Now && (was_lost || logs.was_trimmed(self.id))
            }
            1013 => logs.has_failed,
            _ => false,
        };
        if is_due {
            return Ok(());
        }
        Err(format!(
            "closed with {code} at {:?}, while the log is at {:?}",
            self.cursor,
            logs.head(self.id)
        ))
    }

    /// Checks that the client has everything, after nothing has happened for long enough.
    pub(super) fn check_end(&self) -> Result<(), String> {
        let (head, deleted) = {
            let logs = self.world.logs();
            (logs.head(self.id), logs.deleted(self.id))
        };
        let wrong = |what: &str| {
            Err(format!(
                "{what}: at {:?}, closed with {:?}; the log is at {head:?}",
                self.cursor, self.closed
            ))
        };
        match (head, self.closed) {
            (_, Some(4404 | 4410)) => Ok(()),
            (_, Some(_)) => wrong("a client that did not come back"),
            (None, None) if deleted.is_some() => wrong("a client does not hear of the deletion"),
            (None, None) => wrong("a client follows an LTM that is not there"),
            (Some(head), None) if !self.is_at(head) => wrong("a client is left behind"),
            (Some(_), None) if self.options.live && !self.is_live => {
                wrong("a client does not hear that it has caught up")
            }
            (Some(_), None) => Ok(()),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes the first frame, if it is complete: its first byte, and its payload.
fn next_frame(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let head = match bytes.get(1)? & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    if bytes.len() < head || bytes.len() < frame_length(bytes) {
        return None;
    }
    let length = frame_length(bytes);
    let frame: Vec<u8> = bytes.drain(..length).collect();
    Some((frame[0], frame[head..].to_vec()))
}

fn cursor_of(text: &str) -> Option<Cursor> {
    let (_, rest) = text.split_once(r#","cursor":""#)?;
    rest.split_once('"')?.0.parse().ok()
}

fn reset_in(text: &str) -> Option<ResetReason> {
    let (_, rest) = text.split_once(r#""reset":{"reason":""#)?;
    let reason = rest.split_once('"')?.0;
    ResetReason::ALL
        .into_iter()
        .find(|known| known.as_str() == reason)
}
