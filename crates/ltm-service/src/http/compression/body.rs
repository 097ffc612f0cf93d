//! A body that is compressed while it is sent.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{codec::CodecEncoder, counts::Counts};

/// How many bytes are compressed before the other tasks of the thread run.
pub(super) const SLICE: usize = 64 * 1024;
/// How many bytes are compressed at once. The encoder holds what they become.
const PART: usize = 16 * 1024;

type Error = Box<dyn std::error::Error>;

/// A body whose beginning has been read.
pub(super) struct Begun {
    /// The parts that were read. None is empty.
    parts: VecDeque<Bytes>,
    /// What follows: the rest of the body, or why there is none.
    rest: Option<Result<BoxBody, Error>>,
}

impl Begun {
    /// Reads the body up to `enough` bytes, or to its end.
    pub(super) async fn read(mut body: BoxBody, enough: usize) -> Self {
        let (mut parts, mut count) = (VecDeque::new(), 0);
        while count < enough {
            let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await;
            match next {
                Some(Ok(part)) if part.is_empty() => {}
                Some(Ok(part)) => {
                    count += part.len();
                    parts.push_back(part);
                }
                Some(Err(error)) => {
                    let rest = Some(Err(error));
                    return Self { parts, rest };
                }
                None => return Self { parts, rest: None },
            }
        }
        let rest = Some(Ok(body));
        Self { parts, rest }
    }

    /// The whole body, if it has ended.
    pub(super) fn whole(self) -> Result<Bytes, Self> {
        if self.rest.is_some() {
            return Err(self);
        }
        let parts: Vec<Bytes> = self.parts.into();
        Ok(parts.concat().into())
    }

    /// The bytes that are known so far.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

impl MessageBody for Begun {
    type Error = Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(part) = self.parts.pop_front() {
            return Poll::Ready(Some(Ok(part)));
        }
        match &mut self.rest {
            None => Poll::Ready(None),
            Some(Ok(body)) => Pin::new(body).poll_next(cx),
            Some(Err(_)) => Poll::Ready(self.rest.take().and_then(Result::err).map(Err)),
        }
    }
}

/// A body that is compressed while it is sent. It holds the encoder, and up to [`SLICE`] bytes of what that made.
pub(super) struct Compressed {
    body: Begun,
    /// What is left of the part of the body that is being compressed.
    part: Bytes,
    /// `None` after the end.
    encoder: Option<CodecEncoder>,
    /// Whether the encoder may hold bytes back.
    is_unflushed: bool,
    /// How much was compressed since other tasks of the thread could run.
    in_a_row: usize,
    counts: Counts,
    _permit: OwnedSemaphorePermit,
}

impl Compressed {
    pub(super) fn new(
        body: Begun,
        encoder: CodecEncoder,
        counts: Counts,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            body,
            part: Bytes::new(),
            encoder: Some(encoder),
            is_unflushed: false,
            in_a_row: 0,
            counts,
            _permit: permit,
        }
    }

    fn sent(&self, bytes: Bytes) -> Poll<Option<Result<Bytes, Error>>> {
        self.counts.sent(bytes.len());
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl MessageBody for Compressed {
    type Error = Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        let this = &mut *self;
        while let Some(encoder) = &mut this.encoder {
            if this.in_a_row >= SLICE {
                this.in_a_row = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.part.is_empty() {
                match Pin::new(&mut this.body).poll_next(cx) {
                    Poll::Ready(Some(part)) => this.part = part?,
                    Poll::Ready(None) => {
                        let rest = this.encoder.take().map(CodecEncoder::finish);
                        let rest = rest.transpose()?.unwrap_or_default();
                        return this.sent(rest);
                    }
                    // The client gets what there is while more is read.
                    Poll::Pending if this.is_unflushed => {
                        encoder.flush()?;
                        let ready = encoder.take();
                        (this.in_a_row, this.is_unflushed) = (0, false);
                        return this.sent(ready);
                    }
                    Poll::Pending => {
                        this.in_a_row = 0;
                        return Poll::Pending;
                    }
                }
            }
            let part = this.part.split_to(this.part.len().min(PART));
            encoder.write(&part)?;
            this.in_a_row += part.len();
            this.is_unflushed = true;
            this.counts.read(part.len());
            let ready = encoder.take();
            if !ready.is_empty() {
                return this.sent(ready);
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn, io::Write, sync::Arc};

    use actix_web::body::{BodyStream, MessageBody};
    use flate2::write::GzDecoder;
    use futures_util::stream;
    use tokio::sync::{Semaphore, mpsc};

    use super::*;
    use crate::http::compression::codec::Codec;

    async fn next(body: &mut Compressed) -> Option<Bytes> {
        poll_fn(|cx| Pin::new(&mut *body).poll_next(cx))
            .await
            .transpose()
            .unwrap()
    }

    #[actix_web::test]
    async fn what_was_read_of_an_answer_is_sent_before_the_rest_of_it_is_there() {
        let (parts, received) = mpsc::channel::<Bytes>(2);
        let received = stream::unfold(received, |mut received| async {
            let part = received.recv().await?;
            Some((Ok::<_, Infallible>(part), received))
        });
        let first: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        parts.try_send(first.clone().into()).unwrap();
        let body = BoxBody::new(BodyStream::new(received));
        let begun = Begun::read(body, 1024).await;
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let encoder = Codec::Gzip.encoder().unwrap();
        let mut compressed = Compressed::new(begun, encoder, Counts::default(), permit);
        let mut decoder = GzDecoder::new(Vec::new());
        while decoder.get_ref().len() < first.len() {
            let part = next(&mut compressed).await.expect("a part");
            assert!(!part.is_empty(), "an empty chunk would end the answer");
            decoder.write_all(&part).unwrap();
            decoder.flush().unwrap();
        }
        parts.try_send("the end".into()).unwrap();
        drop(parts);
        while let Some(part) = next(&mut compressed).await {
            decoder.write_all(&part).unwrap();
        }
        let text = decoder.finish().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), first + "the end");
    }

    #[actix_web::test]
    async fn a_body_that_breaks_off_does_so_compressed_too() {
        let parts = [Ok(Bytes::from(vec![b' '; 4096])), Err("it is lost")];
        let parts = stream::iter(parts.map(|it| it.map_err(std::io::Error::other)));
        let body = BoxBody::new(BodyStream::new(parts));
        let begun = Begun::read(body, 10_000).await;
        assert_eq!(begun.len(), 4096);
        let Err(begun) = begun.whole() else {
            panic!("it is not whole");
        };
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let encoder = Codec::Zstd.encoder().unwrap();
        let mut compressed = Compressed::new(begun, encoder, Counts::default(), permit);
        let ended = poll_fn(|cx| Pin::new(&mut compressed).poll_next(cx)).await;
        assert!(matches!(ended, Some(Err(_))));
    }
}
