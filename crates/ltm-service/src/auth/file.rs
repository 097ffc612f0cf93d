//! A file of keys, read again when it changes: so that keys can be changed without a restart.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ltm_settings::SettingError;

/// How often it is looked at, at most.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The largest that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Makes of a text what it stands for, or says what is wrong with it.
type Reader<T> = dyn Fn(&str) -> Result<T, String> + Send + Sync;

/// What a file holds.
pub(super) struct WatchedFile<T> {
    /// Which setting names it.
    setting: &'static str,
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
    /// Reads the file that a setting names for the first time.
    ///
    /// # Errors
    ///
    /// [`SettingError`] says why it cannot be read.
    pub(super) fn open(
        setting: &'static str,
        path: &Path,
        read: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, SettingError> {
        let changed = changed(path);
        let value = text(path).and_then(|text| read(&text));
        let value = value.map_err(|problem| SettingError::new(setting, problem))?;
        let held = Held {
            value: Arc::new(value),
            changed,
            looked: Instant::now(),
        };
        Ok(Self {
            setting,
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
        let setting = self.setting;
        let file = self.path.display();
        match text(&self.path).and_then(|text| (self.read)(&text)) {
            Ok(value) => {
                held.value = Arc::new(value);
                tracing::info!(setting, %file, "keys were read again");
            }
            Err(error) => {
                tracing::error!(
                    setting, %file, error,
                    "keys cannot be read again; those that were read before still count"
                );
            }
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}

fn text(path: &Path) -> Result<String, String> {
    let read = || -> io::Result<(Vec<u8>, u64)> {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        let read = (&file).take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        // What is no file on a disk does not say how large it is.
        let size = file.metadata()?.len().max(read as u64);
        Ok((bytes, size))
    };
    let named = |detail: String| format!("{}: {detail}", path.display());
    let (bytes, size) = read().map_err(|e| named(e.to_string()))?;
    if size > MAX_BYTES {
        let detail = format!("it has {size} bytes, and may have {MAX_BYTES}");
        return Err(named(detail));
    }
    String::from_utf8(bytes).map_err(|e| named(e.to_string()))
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
        let file = WatchedFile::open("auth.file", &path, read).unwrap();
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
        assert!(WatchedFile::open("auth.file", &folder.path().join("none"), read).is_err());
    }
}
