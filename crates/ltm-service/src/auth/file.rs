//! A file of keys, read again when it changes: so that keys can be changed without a restart.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// How often it is looked at, at most.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The largest that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Makes of a text what it stands for, or says what is wrong with it.
type Reader<T> = dyn Fn(&str) -> Result<T, String> + Send + Sync;

/// What a file holds.
pub(super) struct WatchedFile<T> {
    path: PathBuf,
    read: Box<Reader<T>>,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    value: Arc<T>,
    changed: Option<SystemTime>,
    looked: Instant,
}

impl<T> WatchedFile<T> {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub(super) fn open(
        path: &Path,
        read: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let changed = changed(path);
        let held = Held {
            value: Arc::new(read(&text(path)?)?),
            changed,
            looked: Instant::now(),
        };
        Ok(Self {
            path: path.into(),
            read: Box::new(read),
            held: Mutex::new(held),
        })
    }

    /// What it holds now; where it cannot be read any more, what it held before.
    pub(super) fn get(&self) -> Arc<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() >= LOOK_PAUSE {
            held.looked = Instant::now();
            let changed = changed(&self.path);
            if changed != held.changed {
                held.changed = changed;
                self.read_again(&mut held);
            }
        }
        held.value.clone()
    }

    fn read_again(&self, held: &mut Held<T>) {
        let file = self.path.display();
        match text(&self.path).and_then(|text| (self.read)(&text)) {
            Ok(value) => {
                held.value = Arc::new(value);
                tracing::info!(%file, "keys were read again");
            }
            Err(error) => {
                tracing::error!(%file, error, "keys cannot be read again; those that were read before still count");
            }
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}

fn text(path: &Path) -> Result<String, String> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?
            .take(MAX_BYTES)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_not_believed_when_it_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let write = |text: &str, age: u64| {
            std::fs::write(&path, text).unwrap();
            let changed = SystemTime::now() - Duration::from_secs(age);
            File::open(&path).unwrap().set_modified(changed).unwrap();
        };
        write("1", 100);
        let read = |text: &str| text.parse::<u64>().map_err(|e| e.to_string());
        let file = WatchedFile::open(&path, read).unwrap();
        // As if the last look had been long ago.
        let look = || {
            file.held.lock().unwrap().looked = Instant::now() - LOOK_PAUSE;
            *file.get()
        };
        assert_eq!(look(), 1);
        write("2", 50);
        assert_eq!(*file.get(), 1, "it is not looked at each time");
        assert_eq!(look(), 2);
        write("broken", 40);
        assert_eq!(look(), 2);
        write("3", 30);
        assert_eq!(look(), 3);
        assert!(WatchedFile::open(&folder.path().join("none"), read).is_err());
    }
}
