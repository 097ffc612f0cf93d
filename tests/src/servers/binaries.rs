//! The binaries under test.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::watchdog::watch_this_test;

/// The path of a program of the workspace. Cargo builds it first, from the present sources and with the profile of the
/// running test.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    watch_this_test();
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("a test lies in target/<profile>/deps");
    let mut built = BUILT.lock().expect("no build panicked");
    let built = built.get_or_insert_default();
    if !built.contains(name) {
        build(name, folder);
        built.insert(name.into());
    }
    folder.join(name)
}

fn build(name: &str, folder: &Path) {
    let profile = folder.file_name().and_then(|name| name.to_str());
    let profile = match profile.expect("a profile's folder has a name") {
        "debug" => "dev",
        profile => profile,
    };
    let target = folder
        .parent()
        .expect("a profile's folder lies in the target folder");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked"])
        .args(["--bin", name, "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "{name} does not build");
}
