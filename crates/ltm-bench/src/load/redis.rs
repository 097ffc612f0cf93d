//! A bare connection to Redis. It parses answers only as far as a figure needs.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::error::Error;

/// A connection, one command at a time.
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
    command: Vec<u8>,
}

/// The counters of Redis since its start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Runs of scripts. If nothing is written, each one reads a part of a log.
    pub(crate) scripts: u64,
    /// Reads of streams, including those by scripts.
    pub(crate) ranges: u64,
    /// The bytes that it sent.
    pub(crate) sent: u64,
}

impl Redis {
    pub(crate) fn connect(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream: BufReader::new(stream),
            command: Vec::new(),
        })
    }

    /// Sends a command and returns the texts of its answer.
    pub(crate) fn ask<T: AsRef<[u8]>>(&mut self, words: &[T]) -> Result<Vec<String>, Error> {
        self.send(words)?;
        self.answer()
    }

    /// Sends a command.
    pub(crate) fn send<T: AsRef<[u8]>>(&mut self, words: &[T]) -> Result<(), Error> {
        self.command.clear();
        write_command(&mut self.command, words);
        Ok(self.stream.get_mut().write_all(&self.command)?)
    }

    /// Reads one answer and returns its texts.
    pub(crate) fn answer(&mut self) -> Result<Vec<String>, Error> {
        let (mut texts, mut left) = (Vec::new(), 1_usize);
        while left > 0 {
            left -= 1;
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let wrong = || Error::Answer(format!("Redis answered {line:?}"));
            let (kind, rest) = line.trim_end().split_at_checked(1).ok_or_else(wrong)?;
            match kind {
                "+" | ":" => texts.push(rest.to_owned()),
                "$" if rest == "-1" => texts.push(String::new()),
                "$" => {
                    let size: usize = rest.parse().map_err(|_| wrong())?;
                    let mut text = vec![0; size + 2];
                    self.stream.read_exact(&mut text)?;
                    text.truncate(size);
                    texts.push(String::from_utf8_lossy(&text).into_owned());
                }
                "*" => left += rest.parse::<usize>().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        Ok(texts)
    }

    /// The counters so far.
    pub(crate) fn counted(&mut self) -> Result<Counted, Error> {
        let told = self.ask(&["INFO", "everything"])?.concat();
        let calls = |name: &str| -> u64 {
            number(&told, &format!("cmdstat_{name}:calls=")).unwrap_or_default()
        };
        Ok(Counted {
            scripts: calls("evalsha") + calls("evalsha_ro") + calls("eval"),
            ranges: calls("xrange") + calls("xrevrange") + calls("xread"),
            sent: number(&told, "total_net_output_bytes:").unwrap_or_default(),
        })
    }

    /// The number of connections other than this one.
    pub(crate) fn connections(&mut self) -> Result<u64, Error> {
        let told = self.ask(&["INFO", "clients"])?.concat();
        let all = number(&told, "connected_clients:").unwrap_or_default();
        Ok(all.saturating_sub(1))
    }
}

/// Writes a command as Redis reads it.
pub(crate) fn write_command<T: AsRef<[u8]>>(into: &mut Vec<u8>, words: &[T]) {
    into.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        into.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        into.extend_from_slice(word);
        into.extend_from_slice(b"\r\n");
    }
}

/// The number that follows a name at the beginning of a line.
fn number(told: &str, name: &str) -> Option<u64> {
    let rest = told.lines().find_map(|line| line.strip_prefix(name))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit());
    rest[..digits.unwrap_or(rest.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_written_as_redis_reads_it() {
        let mut into = Vec::new();
        write_command(&mut into, &["GET", "é"]);
        assert_eq!(into, "*2\r\n$3\r\nGET\r\n$2\r\né\r\n".as_bytes());
    }

    #[test]
    fn a_number_is_found_by_the_beginning_of_its_line() {
        let told = "cmdstat_xrange:calls=12,usec=3\r\nconnected_clients:4\r\n";
        assert_eq!(number(told, "cmdstat_xrange:calls="), Some(12));
        assert_eq!(number(told, "connected_clients:"), Some(4));
        assert_eq!(number(told, "clients:"), None);
    }
}
