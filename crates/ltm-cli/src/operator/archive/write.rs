//! Writes the file of a backup.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write},
    mem,
    path::{Path, PathBuf},
};

use ltm_store::Record;
use zstd::stream::write::Encoder;

use super::read::MAX_LINE;

/// A frame ends after this many bytes of lines, as soon as an LTM is complete.
const FRAME: u64 = 4 * 1024 * 1024;
/// The level of compression.
const LEVEL: i32 = 3;

/// Writes the file of a backup. Until it is complete, its name ends in `.part`.
pub(crate) struct ArchiveWriter {
    path: PathBuf,
    part: PathBuf,
    frame: Frame,
    /// Bytes of lines in the frame.
    bytes: u64,
}

/// The file, between two frames or within one.
enum Frame {
    None,
    Closed(File),
    Open(Box<Encoder<'static, BufWriter<File>>>),
}

impl ArchiveWriter {
    /// The name of the file while it is not complete.
    pub(crate) fn part(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        name.into()
    }

    /// Opens the file that is not complete, for this process alone: another one gets an error until it is closed.
    pub(crate) fn lock(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        // Nobody else may read the states.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(Self::part(path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::other("another `ltm backup` writes this file"))
            }
            // This file system has no locks.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes a locked file from `at` on; what was behind that is gone.
    pub(crate) fn open(path: &Path, mut file: File, at: u64) -> io::Result<Self> {
        file.set_len(at)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            path: path.to_owned(),
            part: Self::part(path),
            frame: Frame::Closed(file),
            bytes: 0,
        })
    }

    /// Writes a record.
    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if line.len() as u64 > MAX_LINE {
            return Err(io::Error::other(
                "a record is longer than `ltm restore` reads",
            ));
        }
        self.bytes += line.len() as u64;
        self.encoder()?.write_all(&line)
    }

    /// Ends the frame if it is long enough. Call it between two LTMs.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        if self.bytes < FRAME {
            return Ok(());
        }
        self.close()
    }

    /// Completes the file, and gives it its name. Returns its bytes.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.close()?;
        let Frame::Closed(file) = &self.frame else {
            return Err(io::Error::other("the file is not open"));
        };
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        fs::rename(&self.part, &self.path)?;
        // The new name is on the disk, too.
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(bytes)
    }

    fn encoder(&mut self) -> io::Result<&mut Encoder<'static, BufWriter<File>>> {
        if let Frame::Closed(_) = &self.frame
            && let Frame::Closed(file) = mem::replace(&mut self.frame, Frame::None)
        {
            let mut encoder = Encoder::new(BufWriter::new(file), LEVEL)?;
            encoder.include_checksum(true)?;
            self.frame = Frame::Open(Box::new(encoder));
        }
        match &mut self.frame {
            Frame::Open(encoder) => Ok(encoder),
            _ => Err(io::Error::other("an earlier write failed")),
        }
    }

    fn close(&mut self) -> io::Result<()> {
        match mem::replace(&mut self.frame, Frame::None) {
            Frame::Open(encoder) => {
                let file = encoder.finish()?.into_inner();
                self.frame = Frame::Closed(file.map_err(|e| e.into_error())?);
            }
            other => self.frame = other,
        }
        self.bytes = 0;
        Ok(())
    }
}
