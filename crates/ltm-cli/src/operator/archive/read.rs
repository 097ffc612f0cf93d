//! Reads the file of a backup.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind, Read},
    mem,
    path::Path,
};

use ltm_store::Record;
use zstd::stream::read::Decoder;

/// The most bytes of a line. A line has at most the base and the checkpoint of an LTM, with a state each, beside keys
/// and properties.
pub(super) const MAX_LINE: u64 = 1024 * 1024 * 1024;

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The file ends within a frame.
    #[error("it breaks off at byte {at}")]
    BreaksOff {
        /// The end of the file.
        at: u64,
    },
    /// A frame is not as it was written.
    #[error("it is damaged at byte {at}: {source}")]
    Damaged {
        /// A position in the frame.
        at: u64,
        /// What is wrong.
        source: io::Error,
    },
    /// A frame is as it was written, but no frame of a backup.
    #[error("its frame up to byte {at} has no record of a backup: {detail}")]
    NotARecord {
        /// A position in the frame, or its end.
        at: u64,
        /// What is wrong.
        detail: String,
    },
    /// The file cannot be read.
    #[error("it cannot be read at byte {at}: {source}")]
    Unreadable {
        /// The position.
        at: u64,
        /// The cause.
        source: io::Error,
    },
}

impl ReadError {
    fn of(at: u64, source: io::Error) -> Self {
        match source.kind() {
            _ if source.raw_os_error().is_some() => Self::Unreadable { at, source },
            ErrorKind::UnexpectedEof => Self::BreaksOff { at },
            _ => Self::Damaged { at, source },
        }
    }
}

/// Reads the file of a backup, record by record. A record counts only if the checksum of its frame is right, so each frame
/// is read twice.
pub(crate) struct ArchiveReader {
    source: Source,
    line: Vec<u8>,
    max_line: u64,
    /// The end of the last complete frame.
    frames_end: u64,
    length: u64,
}

/// The file, between two frames or within one.
enum Source {
    None,
    Between(Counted),
    Within(Box<BufReader<Decoder<'static, Counted>>>),
}

/// A file that counts the bytes that were taken from it.
struct Counted {
    file: BufReader<File>,
    position: u64,
}

impl Counted {
    /// Reads the next frame and its checksum, and goes back to its beginning.
    fn check_frame(&mut self) -> io::Result<()> {
        let start = self.position;
        let mut decoder = Decoder::with_buffer(&mut *self)?.single_frame();
        io::copy(&mut decoder, &mut io::sink())?;
        let back = i64::try_from(self.position - start).map_err(io::Error::other)?;
        self.file.seek_relative(-back)?;
        self.position = start;
        Ok(())
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.position += bytes as u64;
        self.file.consume(bytes);
    }
}

impl ArchiveReader {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// Reads an open file from its position on.
    pub(crate) fn of(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let counted = Counted {
            file: BufReader::with_capacity(256 * 1024, file),
            position: 0,
        };
        Ok(Self {
            source: Source::Between(counted),
            line: Vec::new(),
            max_line: MAX_LINE,
            frames_end: 0,
            length,
        })
    }

    /// The bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The end of the last frame that was read completely.
    pub(crate) fn frames_end(&self) -> u64 {
        self.frames_end
    }

    /// How many bytes of the file were read.
    pub(crate) fn position(&self) -> u64 {
        match &self.source {
            Source::Within(lines) => lines.get_ref().get_ref().position,
            Source::Between(file) => file.position,
            Source::None => self.frames_end,
        }
    }

    /// The next record; `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, breaks off, is damaged, or is no backup. Nothing of that frame was returned before, except
    /// for [`ReadError::NotARecord`].
    pub(crate) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            match &self.source {
                Source::None => return Ok(None),
                Source::Between(_) => self.open_frame()?,
                Source::Within(_) => match self.read_line()? {
                    0 => self.close_frame(),
                    _ => {
                        let record = serde_json::from_slice(&self.line);
                        return record.map(Some).map_err(|e| self.not_a_record(&e));
                    }
                },
            }
        }
    }

    fn not_a_record(&self, detail: &dyn ToString) -> ReadError {
        ReadError::NotARecord {
            at: self.position(),
            detail: detail.to_string(),
        }
    }

    /// Reads a line of the frame. Returns its bytes.
    fn read_line(&mut self) -> Result<usize, ReadError> {
        self.line.clear();
        let Source::Within(lines) = &mut self.source else {
            return Ok(0);
        };
        let mut lines = lines.take(self.max_line + 1);
        let read = lines.read_until(b'\n', &mut self.line);
        let read = read.map_err(|e| ReadError::of(self.position(), e))?;
        if read as u64 > self.max_line {
            let detail = format!("a line has more than {} bytes", self.max_line);
            return Err(self.not_a_record(&detail));
        }
        Ok(read)
    }

    fn open_frame(&mut self) -> Result<(), ReadError> {
        let Source::Between(mut file) = mem::replace(&mut self.source, Source::None) else {
            return Ok(());
        };
        let failed = |at| move |error| ReadError::of(at, error);
        let start = file.position;
        if file.fill_buf().map_err(failed(start))?.is_empty() {
            return Ok(());
        }
        let checked = file.check_frame();
        checked.map_err(failed(file.position))?;
        let decoder = Decoder::with_buffer(file).map_err(failed(start))?;
        let decoder = decoder.single_frame();
        let lines = BufReader::with_capacity(256 * 1024, decoder);
        self.source = Source::Within(Box::new(lines));
        Ok(())
    }

    fn close_frame(&mut self) {
        if let Source::Within(lines) = mem::replace(&mut self.source, Source::None) {
            let file = lines.into_inner().finish();
            self.frames_end = file.position;
            self.source = Source::Between(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    fn frame(lines: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(lines).unwrap();
        encoder.finish().unwrap()
    }

    fn reader(bytes: &[u8]) -> ArchiveReader {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        ArchiveReader::of(file).unwrap()
    }

    #[test]
    fn a_frame_whose_checksum_is_wrong_gives_no_record() {
        let good = frame(b"{\"ids\":1}\n");
        let mut bad = frame(b"{\"ids\":2}\n");
        // The checksum is the end of the frame.
        *bad.last_mut().unwrap() ^= 1;
        let mut reader = reader(&[good.clone(), bad].concat());
        assert_eq!(reader.next().unwrap(), Some(Record::Ids(1)));
        let error = reader.next().unwrap_err();
        assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
        assert_eq!(reader.frames_end(), good.len() as u64);
    }

    #[test]
    fn a_frame_that_breaks_off_gives_no_record_and_names_its_byte() {
        let whole = frame(b"{\"ids\":1}\n");
        for end in 1..whole.len() {
            let error = reader(&whole[..end]).next().unwrap_err();
            assert_eq!(error.to_string(), format!("it breaks off at byte {end}"));
        }
    }

    #[test]
    fn a_line_takes_no_more_memory_than_its_limit() {
        let mut reader = reader(&frame(&[b'x'; 100_000]));
        reader.max_line = 1000;
        let error = reader.next().unwrap_err().to_string();
        assert!(error.contains("more than 1000 bytes"), "{error}");
        assert!(
            reader.line.capacity() < 10_000,
            "{}",
            reader.line.capacity()
        );
    }

    #[test]
    fn what_is_no_backup_is_no_file_that_breaks_off() {
        let error = reader(b"some other data").next().unwrap_err();
        assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
        let error = reader(&frame(b"other text\n")).next().unwrap_err();
        assert!(matches!(error, ReadError::NotARecord { .. }), "{error}");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("empty"), b"").unwrap();
        let mut empty = ArchiveReader::open(&folder.path().join("empty")).unwrap();
        assert_eq!(empty.next().unwrap(), None);
    }
}
