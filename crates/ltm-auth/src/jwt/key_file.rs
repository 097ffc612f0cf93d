//! A file of keys that is read again when it changes, so that keys change without a restart.
//!
//! The service looks at the file when a caller presents a key. It does not watch for events of the file system, because
//! Kubernetes replaces a secret by exchanging symbolic links.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ltm_settings::SettingError;

/// The shortest time between two looks at the file.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Parses the text of a file, or returns what is wrong with it.
type Parser<T> = dyn Fn(&str) -> Result<T, String> + Send + Sync;

/// A file of keys, with the keys that were last read.
pub(crate) struct KeyFile<T> {
    /// The setting that names it.
    setting: &'static str,
    path: PathBuf,
    parse: Box<Parser<T>>,
    cached: Mutex<Cached<T>>,
}

struct Cached<T> {
    keys: Arc<T>,
    version: Option<Version>,
    looked: Instant,
}

/// What tells apart two contents of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    modified: SystemTime,
    bytes: u64,
}

impl<T> KeyFile<T> {
    /// Reads the file that `setting` names for the first time.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or `parse` rejects it.
    pub(crate) fn open<E: Display>(
        setting: &'static str,
        path: &Path,
        parse: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, SettingError> {
        let parse = move |text: &str| parse(text).map_err(|e| e.to_string());
        let version = version(path);
        let keys = text(path).and_then(|text| parse(&text));
        let keys = keys.map_err(|problem| SettingError::new(setting, problem))?;
        let cached = Cached {
            keys: Arc::new(keys),
            version,
            looked: Instant::now(),
        };
        Ok(Self {
            setting,
            path: path.into(),
            parse: Box::new(parse),
            cached: Mutex::new(cached),
        })
    }

    /// The keys of the file. If it can no longer be read, the keys that were read before.
    pub(crate) fn get(&self) -> Arc<T> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.looked.elapsed() >= LOOK_PAUSE {
            cached.looked = Instant::now();
            let version = version(&self.path);
            if version != cached.version {
                cached.version = version;
                self.read_again(&mut cached);
            }
        }
        cached.keys.clone()
    }

    fn read_again(&self, cached: &mut Cached<T>) {
        let setting = self.setting;
        let file = self.path.display();
        match text(&self.path).and_then(|text| (self.parse)(&text)) {
            Ok(keys) => {
                cached.keys = Arc::new(keys);
                tracing::info!(setting, %file, "keys were read again");
            }
            Err(error) => {
                tracing::error!(
                    setting, %file, error,
                    "keys cannot be read again; the keys that were read before stay in use"
                );
            }
        }
    }
}

fn version(path: &Path) -> Option<Version> {
    let file = path.metadata().ok()?;
    Some(Version {
        modified: file.modified().ok()?,
        bytes: file.len(),
    })
}

fn text(path: &Path) -> Result<String, String> {
    let read = || -> io::Result<(Vec<u8>, u64)> {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        let read = (&file).take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        // Something that is not a file on a disk does not know its size.
        let size = file.metadata()?.len().max(read as u64);
        Ok((bytes, size))
    };
    let named = |problem: String| format!("{}: {problem}", path.display());
    let (bytes, size) = read().map_err(|e| named(e.to_string()))?;
    if size > MAX_BYTES {
        let problem = format!("the file has {size} bytes; the limit is {MAX_BYTES}");
        return Err(named(problem));
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
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            File::open(&path).unwrap().set_modified(changed).unwrap();
        };
        write("1", 100);
        let read = |text: &str| text.parse::<u64>();
        let file = KeyFile::open("auth.file", &path, read).unwrap();
        // As if the last look had been long ago.
        let look = || {
            file.cached.lock().unwrap().looked = Instant::now() - LOOK_PAUSE;
            *file.get()
        };
        assert_eq!(look(), 1);
        write("2", 50);
        assert_eq!(*file.get(), 1, "not every call looks at the file");
        assert_eq!(look(), 2);
        write("broken", 40);
        assert_eq!(look(), 2);
        write("3", 30);
        assert_eq!(look(), 3);
        write("44", 30);
        assert_eq!(look(), 44, "another size within one tick of the clock");
        assert!(KeyFile::open("auth.file", &folder.path().join("none"), read).is_err());
    }
}
