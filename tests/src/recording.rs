//! Recorded histories.

use std::{fs, path::Path};

use serde_json::Value;

use crate::rfc6902::{fold, same};

/// A file of `tests/data` as text.
pub fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A recorded LTM: its last document.
pub struct Recording {
    /// The file's name.
    pub name: String,
    /// All that was recorded.
    pub trace: Value,
    /// The document at the end.
    pub document: Value,
    /// The state that results from the patches, by the implementation of the tests.
    pub folded: Value,
}

impl Recording {
    /// All recordings that ship with the tests, and those in the folder of traces if it exists.
    ///
    /// A file counts if it has a document with snapshots whose patches can be folded. The folded state must be the recorded
    /// one, unless the recording says that it differs.
    pub fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [root.join("data"), root.join("../../shared/flou-traces")];
        let mut files: Vec<_> = folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .map(|file| file.expect("the folder can be read").path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .collect();
        files.sort();
        files.iter().filter_map(|path| Self::read(path)).collect()
    }

    /// Its snapshots.
    pub fn snapshots(&self) -> &[Value] {
        self.document["snapshots"]
            .as_array()
            .expect("a document has snapshots")
    }

    fn read(path: &Path) -> Option<Self> {
        let name = path.display().to_string();
        let trace: Value =
            serde_json::from_str(&fs::read_to_string(path).expect("a file")).expect("JSON");
        let documents = trace["documents"].as_array()?;
        let last = documents
            .iter()
            .rev()
            .find(|entry| entry["status"] == 200)?;
        let document = last["document"].clone();
        let snapshots = document["snapshots"]
            .as_array()
            .filter(|snapshots| !snapshots.is_empty())?;
        let folded = fold(snapshots);
        if trace["recreated_equals_state"] != false {
            assert!(
                same(&folded, &document["state"]),
                "{name} does not fold to its state"
            );
        }
        Some(Self {
            name,
            trace,
            folded,
            document,
        })
    }
}
