//! The compressor of a thread.

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress};

/// On the recorded traces, a higher level makes messages 1 to 5 % smaller, in up to twice the time.
const LEVEL: u32 = 4;
/// The window of 32 KiB that every inflater has unless the client asks for a smaller one.
const WINDOW_BITS: u8 = 15;
/// What ends each message, and is not sent (RFC 7692 section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

thread_local! {
    /// It takes about 300 KiB, so it belongs to a thread, not to a connection or a topic.
    static COMPRESSOR: RefCell<Compress> =
        RefCell::new(Compress::new_with_window_bits(Compression::new(LEVEL), false, WINDOW_BITS));
}

/// The payload of a message with this text for a reader whose window ends with `context`; `None` if it is not smaller than
/// the text.
pub(super) fn deflate(context: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        if !context.is_empty() {
            compressor.set_dictionary(context).ok()?;
        }
        let mut payload = Vec::with_capacity(text.len());
        // It fills at most the capacity. A text that does not fit is not worth it.
        let flush = FlushCompress::Sync;
        compressor.compress_vec(text, &mut payload, flush).ok()?;
        let has_all = compressor.total_in() == text.len() as u64 && payload.ends_with(&TAIL);
        if !has_all || payload.len() == payload.capacity() {
            return None;
        }
        payload.truncate(payload.len() - TAIL.len());
        payload.shrink_to_fit();
        Some(payload)
    })
}
