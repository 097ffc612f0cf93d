//! The cost of an entry on its way to subscribers: decode it from the live channel, check it, encode its message.
//! `cargo bench --package ltm-store`

#![allow(clippy::unwrap_used, reason = "as in tests")]

use std::hint::black_box;

use bytestring::ByteString;
use divan::{Bencher, counter::BytesCount};
use ltm_types::{Cursor, Entry, Kind, LtmId, entry_message};

const SIZES: [usize; 3] = [500, 10_000, 1_000_000];

fn main() {
    divan::main();
}

/// A snapshot with a payload of about `bytes` bytes.
fn entry(bytes: usize) -> Entry {
    let item = "x".repeat(bytes);
    let payload = format!(r#"{{"reason":"execute","item":"{item}","patch":[]}}"#);
    Entry::after(Cursor::ORIGIN, Kind::Snapshot, payload.into())
}

/// Decodes an entry from a published text.
#[divan::bench(args = SIZES)]
fn decode(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = ByteString::from(entry(bytes).to_live(0));
    bencher.bench(|| Entry::from_live(black_box(&text)));
}

/// Checks that an entry continues a cursor, which takes one hash over the entry.
#[divan::bench(args = SIZES)]
fn check(bencher: Bencher<'_, '_>, bytes: usize) {
    let entry = entry(bytes);
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| black_box(&entry).continues(Cursor::ORIGIN));
}

/// Encodes the message for an entry.
#[divan::bench(args = SIZES)]
fn encode(bencher: Bencher<'_, '_>, bytes: usize) {
    let (id, entry) = (LtmId::new(42).unwrap(), entry(bytes));
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| entry_message(id, Cursor::ORIGIN, black_box(&entry)));
}
