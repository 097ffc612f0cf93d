//! A clock that is wrong and jumps.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

/// The time of day as a process sees it. Its monotonic clock stays right.
pub struct Clock {
    folder: TempDir,
    library: String,
}

impl Clock {
    /// A clock with this offset: `+1d`, `-2h`.
    pub fn off_by(offset: &str) -> Self {
        let clock = Self {
            folder: TempDir::new().expect("a temporary folder"),
            library: library().to_str().expect("a path is text").into(),
        };
        clock.jump_to(offset);
        clock
    }

    /// Changes the offset, also for processes that run.
    pub fn jump_to(&self, offset: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, offset).expect("a file can be written");
        fs::rename(new, self.file()).expect("a file can be renamed");
    }

    /// The environment of a process that has this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let file = self.file().to_str().expect("a path is text").to_owned();
        [
            ("LD_PRELOAD", self.library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // A process that is killed could not remove its shared memory.
            ("FAKETIME_DISABLE_SHM", "1"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// The library of libfaketime for programs with threads, at its path in Debian's package.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("it is a folder").flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|file| file.exists())
        .expect("libfaketime is there (make test installs it)")
}
