//! Documents that requests share for as long as nothing is written, and that are written on when something is.

use std::{mem, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use ltm_service::SharedContent;
use ltm_settings::bytes;
use ltm_state::{Branch, SnapshotRange};
use ltm_store::{LogMark, StoreError};
use ltm_types::{Cursor, LtmId};
use prometheus_client::registry::Registry;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    cache::{DocumentCache, Share},
    parts::{NoRoom, Parts},
    text,
};
use crate::{
    ApiSettings,
    per_ltm::PerLtm,
    reader::{
        error::ReadError,
        history_json::SnapshotItems,
        history_page::clip,
        json_stream::{Chunk, JsonStream},
        point_in_time::{PointInTime, despite_trims},
        read::Reader,
    },
};

/// A document.
pub(crate) struct Document {
    pub(crate) cursor: Cursor,
    pub(crate) content: Content,
}

impl Document {
    /// The answer to a client that has the document at this cursor.
    fn known(cursor: Cursor) -> Self {
        Self {
            cursor,
            content: Content::Known,
        }
    }
}

/// The JSON of a document.
pub(crate) enum Content {
    /// The client has it already.
    Known,
    /// It is in memory.
    Shared(Arc<SharedContent>),
    /// It is read from the log while it is sent.
    Streamed(JsonStream),
}

/// The documents of LTMs.
pub(crate) struct Documents {
    reader: Reader,
    cache: Arc<DocumentCache<SharedDocument>>,
    looks: PerLtm<Mutex<Option<Look>>>,
    /// How long a request waits for the look of another one.
    patience: Duration,
}

/// What a request found out about an LTM. Requests that arrived before it began share it.
struct Look {
    began: Instant,
    seen: Seen,
}

/// What requests share of a look.
#[derive(Clone)]
enum Seen {
    /// The LTM is at this cursor. The document was not needed.
    Head(Cursor),
    Document(Arc<SharedDocument>),
    /// The document is not shared: it is too large, there is no room for it, or it cannot be read.
    Nothing,
}

/// The outcome of a look.
enum Found {
    /// The client has the document: the LTM is at this cursor.
    Known(Cursor),
    /// The document is in memory.
    Document(Arc<SharedDocument>),
    /// There is no room for the document. This was read for it.
    NoRoom(PointInTime, Bytes),
    /// The document is too large, or the log is damaged.
    Nothing,
}

/// A document in memory.
struct SharedDocument {
    cursor: Cursor,
    /// The log when it was read; `None` if somebody wrote meanwhile.
    mark: Option<LogMark>,
    /// The history that its snapshots are.
    branch: Branch,
    /// The base of the log, of which the first snapshot of a trimmed history is made.
    base: Option<Cursor>,
    content: Arc<SharedContent>,
    /// The parts of the content that are snapshots.
    snapshots: Range<usize>,
    _share: Share,
}

impl Documents {
    pub(crate) fn new(reader: Reader, settings: &ApiSettings) -> Self {
        Self {
            reader,
            cache: Arc::new(DocumentCache::new(bytes(settings.document_cache))),
            looks: PerLtm::default(),
            patience: settings.lock_wait,
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.cache.register(registry);
    }

    /// The document, unless the LTM is at one of the cursors `known`.
    pub(crate) async fn shared(&self, id: LtmId, known: &[Cursor]) -> Result<Document, ReadError> {
        if !self.cache.fits(1) {
            return self.streamed(id, known, None).await;
        }
        despite_trims(async || self.look(id, known).await).await
    }

    /// As [`Documents::shared`], read for this request alone. `rollbacks` adds a page of the histories that rollbacks took
    /// out, from this index on.
    pub(crate) async fn streamed(
        &self,
        id: LtmId,
        known: &[Cursor],
        rollbacks: Option<u64>,
    ) -> Result<Document, ReadError> {
        despite_trims(async || self.stream(id, known, rollbacks).await).await
    }

    async fn stream(
        &self,
        id: LtmId,
        known: &[Cursor],
        rollbacks: Option<u64>,
    ) -> Result<Document, ReadError> {
        let (now, state) = self.reader.now_with_state(id).await?;
        let cursor = now.cursor;
        if known.contains(&cursor) {
            return Ok(Document::known(cursor));
        }
        let json = text::stream(&self.reader, now, state, rollbacks).await?;
        let content = Content::Streamed(json);
        Ok(Document { cursor, content })
    }

    /// Looks at the log, or waits for a request that does, and answers with the document in memory. Nothing here waits for
    /// a client that reads.
    async fn look(&self, id: LtmId, known: &[Cursor]) -> Result<Document, ReadError> {
        let arrived = Instant::now();
        let looks = self.looks.of(id);
        let Ok(mut latest) = timeout(self.patience, looks.lock()).await else {
            return self.stream(id, known, None).await;
        };
        // Whoever wrote before this request arrived wrote before that look began.
        let shared = latest.as_ref().filter(|look| look.began >= arrived);
        match shared.map(|look| look.seen.clone()) {
            Some(Seen::Head(cursor)) if known.contains(&cursor) => {
                return Ok(Document::known(cursor));
            }
            Some(Seen::Document(document)) => {
                drop(latest);
                self.cache.count(true);
                return Ok(document.answer(known));
            }
            Some(Seen::Nothing) => {
                drop(latest);
                return self.stream(id, known, None).await;
            }
            Some(Seen::Head(_)) | None => {}
        }
        let began = Instant::now();
        let found = self.find(id, known).await;
        let seen = match &found {
            Ok(Found::Known(cursor)) => Seen::Head(*cursor),
            Ok(Found::Document(document)) => Seen::Document(document.clone()),
            _ => Seen::Nothing,
        };
        *latest = Some(Look { began, seen });
        drop(latest);
        match found? {
            Found::Known(cursor) => Ok(Document::known(cursor)),
            Found::Document(document) => Ok(document.answer(known)),
            Found::NoRoom(now, state) => {
                let cursor = now.cursor;
                let json = text::stream(&self.reader, now, state, None).await?;
                let content = Content::Streamed(json);
                Ok(Document { cursor, content })
            }
            Found::Nothing => self.stream(id, known, None).await,
        }
    }

    /// The document in memory, which is written there if it is not the one that the log gives.
    async fn find(&self, id: LtmId, known: &[Cursor]) -> Result<Found, ReadError> {
        let mark = match self.reader.store().mark(id).await {
            Ok(mark) => mark,
            // What the log still gives is answered.
            Err(StoreError::Damaged { .. }) => return Ok(Found::Nothing),
            Err(error) => {
                if matches!(error, StoreError::Unknown(_) | StoreError::Deleted { .. }) {
                    self.cache.forget(id);
                }
                return Err(error.into());
            }
        };
        if known.contains(&mark.cursor) {
            return Ok(Found::Known(mark.cursor));
        }
        let before = self.cache.get(id);
        if let Some(document) = before.as_ref().filter(|it| it.is_at(&mark)) {
            self.cache.count(true);
            return Ok(Found::Document(document.clone()));
        }
        let found = self.write(id, mark, before).await;
        if let Ok(Found::Document(document)) = &found {
            self.cache.count(false);
            self.cache.keep(id, document.clone());
        } else {
            self.cache.forget(id);
        }
        found
    }

    /// Writes the document into memory: all of it, or what is new since the one `before`.
    async fn write(
        &self,
        id: LtmId,
        mark: LogMark,
        before: Option<Arc<SharedDocument>>,
    ) -> Result<Found, ReadError> {
        let Some(size) = mark.bytes.filter(|bytes| self.cache.fits(*bytes)) else {
            return Ok(Found::Nothing);
        };
        let (now, state) = self.reader.now_with_state(id).await?;
        let branch = now.index.branch();
        let before = before.filter(|before| before.begins(&now, &branch));
        // What retention has removed is in no entry, but in the first snapshot.
        let trimmed = match before {
            None if branch.trimmed > 0 => self.reader.trimmed_snapshot(&now, &branch).await?,
            _ => Bytes::new(),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let size = size.saturating_add(state.len() + trimmed.len());
        let new = if before.is_some() { state.len() } else { size };
        let room = self.cache.fits(size as u64).then(|| self.cache.take(new));
        let Some(room) = room.flatten() else {
            return Ok(Found::NoRoom(now, state));
        };
        let parts = Parts::new(self.cache.clone(), room);
        let written = self.write_parts(parts, &now, [&state, &trimmed], &branch, before);
        let (parts, snapshots, is_of_now) = match written.await {
            Ok(written) => written,
            Err(WriteError::NoRoom) => return Ok(Found::NoRoom(now, state)),
            Err(WriteError::Read(error)) => return Err(error),
        };
        let base = now.base.as_ref().map(|base| base.cursor);
        let is_of_now = is_of_now && mark.cursor == now.cursor && mark.base == base;
        let memory = mem::size_of::<SharedDocument>()
            + mem::size_of::<SharedContent>()
            + mem::size_of_val(&*branch.ranges)
            + mem::size_of_val(&*parts);
        let Some(share) = self.cache.take(memory) else {
            return Ok(Found::NoRoom(now, state));
        };
        let cache = Arc::downgrade(&self.cache);
        let keep = move |text| cache.upgrade()?.hold(text, None);
        Ok(Found::Document(Arc::new(SharedDocument {
            cursor: now.cursor,
            mark: is_of_now.then_some(mark),
            branch,
            base,
            content: Arc::new(SharedContent::new(parts, Box::new(keep))),
            snapshots,
            _share: share,
        })))
    }

    /// Writes the parts of the document, with the state and the snapshot that stands for what was trimmed. Also returns
    /// which of them are snapshots, and whether everything was read before somebody wrote.
    async fn write_parts(
        &self,
        mut parts: Parts<SharedDocument>,
        now: &PointInTime,
        [state, trimmed]: [&Bytes; 2],
        branch: &Branch,
        before: Option<Arc<SharedDocument>>,
    ) -> Result<(Vec<Bytes>, Range<usize>, bool), WriteError> {
        let reads = self.reader.reads();
        let meta = self.reader.store().meta(now.id).await?;
        for text in text::opening(now, state.clone(), &meta) {
            parts.write(&text)?;
        }
        let begin = parts.end_part()?;
        let mut checks = vec![now.cursor];
        let (mut ranges, mut has_items) = (branch.ranges.clone(), branch.trimmed > 0);
        if let Some(before) = before {
            // The log that has both cursors has the same entries up to the first one.
            checks.push(before.cursor);
            let known = before.snapshots();
            has_items = !known.is_empty();
            parts.share(known)?;
            ranges = clip(branch, before.branch.count(), u64::MAX);
        } else {
            parts.write(trimmed)?;
        }
        let mut items = SnapshotItems::new(reads, now.id, ranges, has_items);
        while let Some(text) = items.next().await? {
            parts.write(&text)?;
        }
        let end = parts.end_part()?;
        let mut rest = JsonStream::new(reads.clone(), now.id);
        rest.text(text::middle(now, branch, &meta));
        rest.push(text::errors(now));
        rest.text("]}");
        for cursor in checks {
            rest.push(Chunk::Check(cursor));
        }
        while let Some(text) = rest.next().await? {
            parts.write(&text)?;
        }
        let is_of_now = meta.cursor == now.cursor;
        Ok((parts.finish()?, begin..end, is_of_now))
    }
}

/// Why a document is not written into memory.
enum WriteError {
    NoRoom,
    Read(ReadError),
}

impl From<NoRoom> for WriteError {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

impl SharedDocument {
    /// Whether nothing has changed since it was read.
    fn is_at(&self, mark: &LogMark) -> bool {
        self.mark.as_ref() == Some(mark)
    }

    /// Whether its snapshots are the first ones of the history `branch`, if the log still contains its cursor.
    fn begins(&self, now: &PointInTime, branch: &Branch) -> bool {
        let known: Vec<SnapshotRange> = clip(branch, 0, self.branch.count());
        self.base == now.base.as_ref().map(|base| base.cursor)
            && (self.branch.base, self.branch.trimmed) == (branch.base, branch.trimmed)
            && self.branch.ranges == known
            && self.cursor.seq <= now.cursor.seq
    }

    fn snapshots(&self) -> &[Bytes] {
        &self.content.parts()[self.snapshots.clone()]
    }

    /// The answer to a client that is at one of the cursors `known`.
    fn answer(&self, known: &[Cursor]) -> Document {
        Document {
            cursor: self.cursor,
            content: if known.contains(&self.cursor) {
                Content::Known
            } else {
                Content::Shared(self.content.clone())
            },
        }
    }
}
