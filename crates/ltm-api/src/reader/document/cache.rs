//! The memory of documents that requests share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use ltm_types::LtmId;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

/// What a part takes in memory beside its bytes, about.
const MEMORY_PER_PART: usize = 128;
/// The part of the cache that one document may take.
const LARGEST: usize = 8;

/// Documents in memory, and all of their bytes that somebody holds: those that left the cache count until the last answer
/// with them is sent.
pub(super) struct DocumentCache<T> {
    limit: usize,
    held: Gauge,
    recent: Mutex<Recent<T>>,
    hits: Counter,
    misses: Counter,
}

/// The documents of the cache by the time of their last use.
struct Recent<T> {
    documents: HashMap<LtmId, (u64, Arc<T>)>,
    order: BTreeMap<u64, LtmId>,
    now: u64,
}

/// Memory that counts as held until this is dropped.
pub(super) struct Share {
    bytes: usize,
    held: Gauge,
}

impl Share {
    /// Takes a part of it, if it has as much.
    fn split(&mut self, bytes: usize) -> Option<Self> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        let held = self.held.clone();
        Some(Self { bytes, held })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.dec_by(signed(self.bytes));
    }
}

/// Bytes, and the memory that they take.
struct Held {
    text: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl<T> DocumentCache<T> {
    /// Documents that take up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Gauge::default(),
            recent: Mutex::new(Recent {
                documents: HashMap::new(),
                order: BTreeMap::new(),
                now: 0,
            }),
            hits: Counter::default(),
            misses: Counter::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "document_cache",
            "Memory of the documents that answers share, including those that left the cache and are still sent",
            Unit::Bytes,
            self.held.clone(),
        );
        registry.register(
            "document_cache_hits",
            "Answers with a document that was in memory",
            self.hits.clone(),
        );
        registry.register(
            "document_cache_misses",
            "Documents that were written, or added to, for an answer",
            self.misses.clone(),
        );
    }

    /// Whether a document of this size is shared at all.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        bytes <= (self.limit / LARGEST) as u64
    }

    /// Counts an answer, and whether its document was in memory.
    pub(super) fn count(&self, is_hit: bool) {
        if is_hit {
            self.hits.inc();
        } else {
            self.misses.inc();
        }
    }

    /// The document of an LTM.
    pub(super) fn get(&self, id: LtmId) -> Option<Arc<T>> {
        self.recent().used(id)
    }

    /// Keeps the document of an LTM instead of the one before.
    pub(super) fn keep(&self, id: LtmId, document: Arc<T>) {
        let _before = self.recent().insert(id, document);
    }

    /// Drops the document of an LTM.
    pub(super) fn forget(&self, id: LtmId) {
        let _before = self.recent().remove(id);
    }

    /// Memory for this many bytes. The least recently used documents make room for it; `None` if answers hold too much.
    pub(super) fn take(&self, bytes: usize) -> Option<Share> {
        loop {
            let before = self.held.inc_by(signed(bytes));
            let share = Share {
                bytes,
                held: self.held.clone(),
            };
            if usize::try_from(before).unwrap_or(0).saturating_add(bytes) <= self.limit {
                return Some(share);
            }
            drop(share);
            let oldest = self.recent().remove_oldest();
            oldest?;
        }
    }

    /// Holds bytes in memory that comes from `room`, or else from what is free.
    pub(super) fn hold(&self, mut text: Vec<u8>, room: Option<&mut Share>) -> Option<Bytes> {
        text.shrink_to_fit();
        let bytes = text.capacity() + MEMORY_PER_PART;
        let share = room.and_then(|room| room.split(bytes));
        let share = share.or_else(|| self.take(bytes))?;
        Some(Bytes::from_owner(Held {
            text,
            _share: share,
        }))
    }

    fn recent(&self) -> MutexGuard<'_, Recent<T>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Recent<T> {
    fn used(&mut self, id: LtmId) -> Option<Arc<T>> {
        let (last, document) = self.documents.get_mut(&id)?;
        self.order.remove(last);
        self.now += 1;
        *last = self.now;
        self.order.insert(self.now, id);
        Some(document.clone())
    }

    fn insert(&mut self, id: LtmId, document: Arc<T>) -> Option<Arc<T>> {
        let before = self.remove(id);
        self.now += 1;
        self.documents.insert(id, (self.now, document));
        self.order.insert(self.now, id);
        before
    }

    fn remove(&mut self, id: LtmId) -> Option<Arc<T>> {
        let (last, document) = self.documents.remove(&id)?;
        self.order.remove(&last);
        Some(document)
    }

    fn remove_oldest(&mut self) -> Option<Arc<T>> {
        let (_, id) = self.order.pop_first()?;
        Some(self.documents.remove(&id)?.1)
    }
}

/// A number of bytes in memory. It is far below the limit of its type.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> LtmId {
        number.to_string().parse().unwrap()
    }

    fn text(bytes: usize) -> Vec<u8> {
        vec![b'x'; bytes - MEMORY_PER_PART]
    }

    #[test]
    fn the_least_recently_used_document_makes_room() {
        let cache = DocumentCache::new(3000);
        for number in 1..=3 {
            let document = cache.hold(text(1000), None).unwrap();
            cache.keep(id(number), Arc::new(document));
        }
        assert!(cache.get(id(1)).is_some());
        let document = cache.hold(text(1000), None).unwrap();
        cache.keep(id(4), Arc::new(document));
        let held = [1, 2, 3, 4].map(|number| cache.get(id(number)).is_some());
        assert_eq!(held, [true, false, true, true]);
        assert_eq!(cache.held.get(), 3000);
    }

    #[test]
    fn what_an_answer_holds_counts_after_it_left_the_cache_and_once() {
        let cache = DocumentCache::new(3000);
        let part = cache.hold(text(2000), None).unwrap();
        let answers = [part.clone(), part.slice(10..20)];
        cache.keep(id(1), Arc::new(part));
        assert_eq!(cache.held.get(), 2000);
        assert!(cache.hold(text(2000), None).is_none());
        assert!(cache.get(id(1)).is_none(), "it made room in vain");
        assert_eq!(cache.held.get(), 2000);
        drop(answers);
        assert_eq!(cache.held.get(), 0);
        assert!(cache.hold(text(3000), None).is_some());
    }

    #[test]
    fn memory_that_was_taken_before_is_not_taken_again() {
        let cache = DocumentCache::<()>::new(3000);
        let mut room = cache.take(3000).unwrap();
        let part = cache.hold(text(1000), Some(&mut room)).unwrap();
        assert_eq!(cache.held.get(), 3000);
        drop(room);
        assert_eq!(cache.held.get(), 1000);
        drop(part);
        assert_eq!(cache.held.get(), 0);
    }
}
