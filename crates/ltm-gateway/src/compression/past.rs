//! What was compressed before, as a topic and as a connection know it.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{deflate::deflate, negotiation::Agreement};

/// How many bytes a message may refer back to before its own text. On the recorded traces, twice as many make messages
/// at most a fifth smaller.
const CONTEXT: usize = 4 * 1024;

/// The texts that were compressed one after the other, each with the end of those before it as its context.
#[derive(Debug)]
pub(crate) struct Past {
    number: u64,
    /// How many bytes all texts have together.
    end: u64,
    /// The last of these bytes, up to [`CONTEXT`].
    last: Vec<u8>,
}

/// Which part of which past a compressed text is, or several that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    past: u64,
    begin: u64,
    end: u64,
    /// Whether it is certainly one text.
    is_single: bool,
}

/// A number that no other past of this process has. 0 is none.
fn new_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Default for Past {
    fn default() -> Self {
        Self {
            number: new_number(),
            end: 0,
            last: Vec::new(),
        }
    }
}

impl Past {
    /// Compresses the next text. If that does not make it smaller, the text does not become a part of the past.
    pub(crate) fn compress(&mut self, text: &[u8]) -> Option<(Place, Vec<u8>)> {
        let payload = deflate(&self.last, text)?;
        let place = Place {
            past: self.number,
            begin: self.end,
            end: self.end + text.len() as u64,
            is_single: true,
        };
        self.end = place.end;
        let added = text.get(text.len().saturating_sub(CONTEXT)..);
        let added = added.unwrap_or_default();
        let excess = (self.last.len() + added.len()).saturating_sub(CONTEXT);
        self.last.drain(..excess);
        self.last.extend_from_slice(added);
        Some((place, payload))
    }

    /// Where it ends: between two texts.
    pub(crate) fn end(&self) -> Place {
        Place {
            past: self.number,
            begin: self.end,
            end: self.end,
            is_single: false,
        }
    }
}

/// Compresses a text that refers to nothing before it; `None` if that does not make it smaller.
pub(crate) fn compress_alone(text: &[u8]) -> Option<(Place, Vec<u8>)> {
    Past::default().compress(text)
}

impl Place {
    /// This text and the one that follows it, in one piece; `None` if the other does not follow it.
    pub(crate) fn followed_by(self, next: Self) -> Option<Self> {
        let follows = (self.past, self.end) == (next.past, next.begin);
        follows.then_some(Self {
            end: next.end,
            is_single: false,
            ..self
        })
    }

    /// What lies between the ends of this text and of a later one of the same past.
    pub(crate) fn up_to(self, later: Self) -> Self {
        Self {
            begin: self.end,
            ..later
        }
    }

    /// Everything up to the end of this text.
    pub(crate) fn with_all_before(self) -> Self {
        Self { begin: 0, ..self }
    }

    /// Whether the text may refer to earlier ones.
    pub(crate) fn has_context(self) -> bool {
        self.begin > 0
    }

    /// Whether this is no text.
    pub(crate) fn is_empty(self) -> bool {
        self.begin == self.end
    }

    /// Where the context of the text begins.
    fn context(self) -> u64 {
        self.begin.saturating_sub(CONTEXT as u64)
    }
}

/// The form of a message for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Not compressed.
    Plain,
    /// Compressed, without references to earlier messages.
    Alone,
    /// Compressed in its context.
    InContext,
}

/// What the gateway knows of the window of a client: the bytes that the client has inflated last.
pub(crate) struct Window {
    /// The most bytes that a reference may go back.
    reach: u64,
    /// Whether the window lasts longer than one message.
    takeover: bool,
    /// The window ends with these bytes of this past.
    held: Cell<Place>,
}

impl Window {
    /// The empty window of a client.
    pub(crate) fn new(agreement: Agreement) -> Self {
        Self {
            reach: agreement.reach(),
            takeover: agreement.takeover,
            held: Cell::new(Place {
                past: 0,
                begin: 0,
                end: 0,
                is_single: false,
            }),
        }
    }

    /// Whether the client can read texts in their context, however long they are.
    pub(crate) fn keeps_context(&self) -> bool {
        self.takeover && self.reach == u64::MAX
    }

    /// The best form of the text at this place that the client can read.
    pub(crate) fn form(&self, place: Place) -> Form {
        let held = self.held.get();
        let has_context = if place.has_context() {
            (held.past, held.end) == (place.past, place.begin) && held.begin <= place.context()
        } else {
            // The first of several texts is the context of the others.
            self.takeover || place.is_single
        };
        if has_context && place.end - place.context() <= self.reach {
            Form::InContext
        } else if place.end - place.begin <= self.reach {
            Form::Alone
        } else {
            Form::Plain
        }
    }

    /// Notes that the client gets the text at this place in this form.
    pub(crate) fn sent(&self, place: Place, form: Form) {
        if form == Form::Plain || !self.takeover {
            // A plain message does not enter the window.
            return;
        }
        let held = self.held.get();
        self.held.set(held.followed_by(place).unwrap_or(place));
    }
}
