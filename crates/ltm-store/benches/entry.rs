//! What an entry costs on its way to subscribers: read from the live channel, and made a message.
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

/// A snapshot with a payload of about so many bytes.
fn entry(bytes: usize) -> Entry {
    let item = "x".repeat(bytes);
    let payload = format!(r#"{{"reason":"execute","item":"{item}","patch":[]}}"#);
    Entry::after(Cursor::ORIGIN, Kind::Snapshot, payload.into())
}

/// An entry from the text that was published.
#[divan::bench(args = SIZES)]
fn decode(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = ByteString::from(entry(bytes).to_live(0));
    bencher.bench(|| Entry::from_live(black_box(&text)));
}

/// Whether an entry continues the history that is known: one hash over it.
#[divan::bench(args = SIZES)]
fn check(bencher: Bencher<'_, '_>, bytes: usize) {
    let entry = entry(bytes);
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| black_box(&entry).continues(Cursor::ORIGIN));
}

/// The message for an entry.
#[divan::bench(args = SIZES)]
fn encode(bencher: Bencher<'_, '_>, bytes: usize) {
    let (id, entry) = (LtmId::new(42).unwrap(), entry(bytes));
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| entry_message(id, Cursor::ORIGIN, black_box(&entry)));
}
