//! A folder shows its files on one screen, and a file is read in one sitting.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The most source files in one folder.
const FILES: usize = 13;
/// The most lines in one file.
const LINES: usize = 600;

/// Folders with more files, and why.
const ACCEPTED: &[(&str, &str)] = &[];

#[test]
fn no_folder_has_more_than_about_a_dozen_files_and_no_file_more_than_600_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    let mut long = Vec::new();
    for file in sources(&root) {
        let shown = file.strip_prefix(&root).unwrap();
        let folder = shown.parent().unwrap().display().to_string();
        *folders.entry(folder).or_default() += 1;
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        if lines > LINES {
            long.push(format!("{}: {lines} lines", shown.display()));
        }
    }
    assert!(folders.len() > 20, "{folders:?}");
    assert!(long.is_empty(), "{long:#?}");
    let accepted: BTreeSet<&str> = ACCEPTED.iter().map(|(folder, _)| *folder).collect();
    folders.retain(|_, files| *files > FILES);
    let full: BTreeSet<&str> = folders.keys().map(String::as_str).collect();
    assert_eq!(full, accepted, "left: folders with more than {FILES} files");
}

/// The Rust sources of all crates and of these tests.
pub(crate) fn sources(root: &Path) -> Vec<PathBuf> {
    let crates = std::fs::read_dir(root.join("crates")).unwrap();
    let mut folders: Vec<PathBuf> = crates.map(|it| it.unwrap().path().join("src")).collect();
    folders.extend(["src", "it", "examples"].map(|name| root.join("tests").join(name)));
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
