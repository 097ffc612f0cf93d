//! Reads the file of a backup.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    mem,
    path::Path,
};

use ltm_store::Record;
use zstd::stream::read::Decoder;

/// Reads the file of a backup, record by record.
pub(crate) struct ArchiveReader {
    source: Source,
    line: Vec<u8>,
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
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let counted = Counted {
            file: BufReader::with_capacity(256 * 1024, file),
            position: 0,
        };
        Ok(Self {
            source: Source::Between(counted),
            line: Vec::new(),
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
    /// The file breaks off within a frame, or is no backup.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            match &mut self.source {
                Source::None => return Ok(None),
                Source::Between(_) => self.open_frame()?,
                Source::Within(lines) => {
                    self.line.clear();
                    if lines.read_until(b'\n', &mut self.line)? > 0 {
                        return Ok(Some(serde_json::from_slice(&self.line)?));
                    }
                    self.close_frame();
                }
            }
        }
    }

    fn open_frame(&mut self) -> io::Result<()> {
        let Source::Between(mut file) = mem::replace(&mut self.source, Source::None) else {
            return Ok(());
        };
        if file.fill_buf()?.is_empty() {
            return Ok(());
        }
        let decoder = Decoder::with_buffer(file)?.single_frame();
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
