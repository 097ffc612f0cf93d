//! Runs the checks of the fuzz targets on every input in their corpus, which includes each input that once broke something.
//! So these checks need neither a fuzzer nor the nightly toolchain.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        eprintln!("{}", path.display());
        check(&input);
        replayed += 1;
    }
    assert!(replayed > 0, "there is no corpus for {target}");
}

#[test]
fn cursors_and_ids_have_one_spelling() {
    replay("cursor", fuzz::cursor);
}

#[test]
fn query_strings_are_read_or_refused() {
    replay("query", fuzz::query);
}

#[test]
fn writes_do_what_a_second_implementation_says_or_are_refused() {
    replay("write", fuzz::write);
}

#[test]
fn settings_are_read_and_printed_or_refused() {
    replay("settings", fuzz::settings);
}

#[test]
fn logs_of_any_entries_are_folded_or_refused() {
    replay("entries", fuzz::entries);
}
