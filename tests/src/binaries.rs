//! The binaries under test.

use std::{collections::HashSet, path::PathBuf, process::Command, sync::Mutex};

/// The path of a binary of the workspace, built from what is there now, with the profile of the
/// running test.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a test lies in target/<profile>/deps");
    let mut built = BUILT.lock().expect("no build panicked");
    let built = built.get_or_insert_default();
    if !built.contains(name) {
        build(name, folder);
        built.insert(name.into());
    }
    folder.join(name)
}

fn build(name: &str, folder: &std::path::Path) {
    let profile = if folder.ends_with("release") {
        "release"
    } else {
        "dev"
    };
    let target = folder
        .parent()
        .expect("a profile's folder lies in the target folder");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--bin",
            name,
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "{name} does not build");
}
