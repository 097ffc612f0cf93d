//! Inflates what clients send.

use flate2::{Decompress, FlushDecompress, Status};

use super::deflate::TAIL;

/// A last block without content. A reader gets there only if the message ended where a block ends.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// Why a message cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// Its text is longer than the limit.
    TooLong,
    /// It is not a compressed message.
    Invalid,
}

/// The text of a message whose compressed payload this is, if it is not longer than `longest` bytes. No more than that is
/// inflated.
pub(crate) fn inflate(payload: &[u8], longest: usize) -> Result<Vec<u8>, InflateError> {
    let input = [payload, &TAIL, &LAST_BLOCK].concat();
    let mut rest = &input[..];
    let mut inflater = Decompress::new(false);
    // A byte more than is allowed tells a text that is too long.
    let mut text = Vec::with_capacity(
        longest
            .saturating_add(1)
            .min(payload.len().saturating_mul(4)),
    );
    loop {
        let (read, written) = (inflater.total_in(), text.len());
        if text.len() == text.capacity() {
            let left = longest.saturating_add(1) - text.len();
            text.reserve_exact(text.len().max(64).min(left));
        }
        let flush = FlushDecompress::None;
        let status = inflater.decompress_vec(rest, &mut text, flush);
        let status = status.map_err(|_| InflateError::Invalid)?;
        if text.len() > longest {
            return Err(InflateError::TooLong);
        }
        let read = usize::try_from(inflater.total_in() - read).unwrap_or(usize::MAX);
        rest = rest.get(read..).unwrap_or_default();
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(text),
            // The client has ended its own last block in the message (RFC 7692 section 7.2.3.4).
            Status::StreamEnd => inflater.reset(false),
            Status::Ok | Status::BufError if read == 0 && text.len() == written => {
                return Err(InflateError::Invalid);
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    fn compressed(text: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(text.len() * 2 + 64);
        Compress::new(Compression::new(6), false)
            .compress_vec(text, &mut payload, FlushCompress::Sync)
            .unwrap();
        payload.truncate(payload.len() - TAIL.len());
        payload
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7692 section 7.2.3: one block, its parts, no compression, a last block, two blocks.
        for payload in [
            &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ] {
            assert_eq!(inflate(payload, 5).as_deref(), Ok(&b"Hello"[..]));
        }
        assert_eq!(inflate(b"\x00", 0).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_message_that_refers_to_an_earlier_one_is_not_read() {
        // RFC 7692 section 7.2.3.2: the second message of a client that keeps its context.
        assert_eq!(
            inflate(b"\xf2\x00\x11\x00\x00", 5),
            Err(InflateError::Invalid)
        );
    }

    #[test]
    fn a_bomb_is_inflated_up_to_the_limit() {
        let bomb = compressed(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 2_000);
        assert_eq!(inflate(&bomb, 8192), Err(InflateError::TooLong));
    }

    proptest! {
        #[test]
        fn a_text_within_the_limit_is_read_and_a_part_of_its_payload_is_not(
            text in "[a-c]{0,300}|[ -~]{0,300}", cut in 1usize..20,
        ) {
            let payload = compressed(text.as_bytes());
            let read = inflate(&payload, text.len());
            prop_assert_eq!(read.as_deref(), Ok(text.as_bytes()));
            if !text.is_empty() {
                prop_assert_eq!(inflate(&payload, text.len() - 1), Err(InflateError::TooLong));
            }
            let part = &payload[..payload.len().saturating_sub(cut)];
            let read = inflate(part, text.len());
            prop_assert_ne!(read.as_deref(), Ok(text.as_bytes()));
        }

        #[test]
        fn any_bytes_end_in_a_text_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(text) = inflate(&bytes, 1000) {
                prop_assert!(text.len() <= 1000);
            }
        }
    }
}
