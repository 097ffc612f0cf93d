//! The content of an answer that several answers share, with what it becomes compressed.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::{BodySize, MessageBody},
    web::Bytes,
};
use tokio::{sync::OnceCell, task::yield_now};

use super::{body::SLICE, codec::Codec};

/// The size of a part of the compressed content, about.
const PART: usize = 32 * 1024;

/// Keeps bytes for as long as somebody holds them. `None` if there is no room for them.
pub type Keep = Box<dyn Fn(Vec<u8>) -> Option<Bytes> + Send + Sync>;

/// The content of an answer that several answers share. It is compressed once for each coding.
pub struct SharedContent {
    plain: Arc<[Bytes]>,
    keep: Keep,
    zstd: Form,
    gzip: Form,
}

/// The compressed content.
type Form = OnceCell<Arc<[Bytes]>>;

/// As many answers are being compressed as allowed.
pub(super) struct NoPermit;

/// Why there is no compressed content to share.
enum Missing {
    Permit,
    Room,
}

impl SharedContent {
    /// Content of these parts. None of them is empty, and each is small enough for the buffer of a connection. `keep` gets
    /// what they become compressed.
    pub fn new(parts: Vec<Bytes>, keep: Keep) -> Self {
        Self {
            plain: parts.into(),
            keep,
            zstd: OnceCell::new(),
            gzip: OnceCell::new(),
        }
    }

    /// The answer with this content. Its length is not announced: the content is the same if it is not shared.
    pub fn answer(self: Arc<Self>, head: &mut HttpResponseBuilder) -> HttpResponse {
        let mut response = head.body(SharedBody::new(self.plain.clone()));
        response.extensions_mut().insert(self);
        response
    }

    /// The parts of the content.
    pub fn parts(&self) -> &[Bytes] {
        &self.plain
    }

    /// The bytes of the content.
    pub(super) fn len(&self) -> usize {
        length(&self.plain)
    }

    /// The compressed content. Answers that need it at the same time wait for one of them to make it, if `permit` lets it.
    /// `None` if there is no room for it.
    pub(super) async fn compressed<P>(
        &self,
        codec: Codec,
        permit: impl FnOnce() -> Result<P, NoPermit>,
    ) -> Result<Option<SharedBody>, NoPermit> {
        let form = match codec {
            Codec::Zstd => &self.zstd,
            Codec::Gzip => &self.gzip,
        };
        // Without room, the next answer looks again.
        let make = || async {
            let _permit = permit().map_err(|NoPermit| Missing::Permit)?;
            self.compress(codec).await.ok_or(Missing::Room)
        };
        match form.get_or_try_init(make).await {
            Ok(made) => Ok(Some(SharedBody::new(made.clone()))),
            Err(Missing::Room) => Ok(None),
            Err(Missing::Permit) => Err(NoPermit),
        }
    }

    async fn compress(&self, codec: Codec) -> Option<Arc<[Bytes]>> {
        let mut encoder = codec.encoder().ok()?;
        let (mut parts, mut ready, mut in_a_row) = (Vec::new(), Vec::new(), 0);
        for part in self.plain.iter() {
            encoder.write(part).ok()?;
            ready.extend_from_slice(&encoder.take());
            if ready.len() >= PART {
                parts.push((self.keep)(std::mem::take(&mut ready))?);
            }
            in_a_row += part.len();
            if in_a_row >= SLICE {
                in_a_row = 0;
                yield_now().await;
            }
        }
        ready.extend_from_slice(&encoder.finish().ok()?);
        parts.push((self.keep)(ready)?);
        Some(parts.into())
    }
}

/// The bytes of all parts.
fn length(parts: &[Bytes]) -> usize {
    parts.iter().map(Bytes::len).sum()
}

/// A body of parts that other bodies share.
pub(super) struct SharedBody {
    parts: Arc<[Bytes]>,
    next: usize,
}

impl SharedBody {
    fn new(parts: Arc<[Bytes]>) -> Self {
        Self { parts, next: 0 }
    }

    /// The bytes of the body.
    pub(super) fn len(&self) -> usize {
        length(&self.parts)
    }
}

impl MessageBody for SharedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let part = self.parts.get(self.next).cloned();
        self.next += 1;
        Poll::Ready(part.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Content of this many parts, and how often a part of what they become was kept.
    fn content(count: usize) -> (SharedContent, Arc<AtomicUsize>) {
        let parts = (0..count).map(|n| format!("part {n} ").repeat(500).into());
        let kept = Arc::new(AtomicUsize::new(0));
        let counted = kept.clone();
        let keep = move |text: Vec<u8>| {
            counted.fetch_add(1, Ordering::SeqCst);
            Some(text.into())
        };
        (SharedContent::new(parts.collect(), Box::new(keep)), kept)
    }

    #[actix_web::test]
    async fn answers_that_need_the_compressed_content_at_once_share_it() {
        let (content, kept) = content(100);
        let ask = || content.compressed(Codec::Zstd, || Ok(()));
        let bodies = join_all((0..20).map(|_| ask())).await;
        let Ok(Some(first)) = &bodies[0] else {
            panic!("it is compressed");
        };
        assert_eq!(kept.load(Ordering::SeqCst), first.parts.len());
        for body in &bodies {
            let Ok(Some(body)) = body else {
                panic!("it is compressed");
            };
            assert!(Arc::ptr_eq(&body.parts, &first.parts));
        }
        let text = zstd::decode_all(&*first.parts.concat()).unwrap();
        assert!(text == content.parts().concat());
    }

    #[actix_web::test]
    async fn if_there_is_no_room_a_later_answer_looks_again() {
        let has_room = Arc::new(AtomicBool::new(false));
        let room = has_room.clone();
        let keep = move |text: Vec<u8>| room.load(Ordering::SeqCst).then(|| text.into());
        let content = SharedContent::new(vec!["part".into()], Box::new(keep));
        let ask = || content.compressed(Codec::Gzip, || Ok(()));
        assert!(matches!(ask().await, Ok(None)));
        has_room.store(true, Ordering::SeqCst);
        assert!(matches!(ask().await, Ok(Some(_))));
    }

    #[actix_web::test]
    async fn an_answer_that_may_not_compress_leaves_that_to_a_later_one() {
        let (content, _) = content(1);
        let refused = content.compressed(Codec::Gzip, || Err::<(), _>(NoPermit));
        assert!(refused.await.is_err());
        let made = content.compressed(Codec::Gzip, || Ok(())).await;
        assert!(matches!(made, Ok(Some(_))));
        // What is there needs no permit.
        let again = content.compressed(Codec::Gzip, || Err::<(), _>(NoPermit));
        assert!(matches!(again.await, Ok(Some(_))));
    }
}
