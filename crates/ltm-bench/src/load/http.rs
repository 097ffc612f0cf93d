//! A cheap HTTP client: one persistent connection, one request at a time.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::error::Error;

/// A persistent connection.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
    address: String,
    request: Vec<u8>,
}

/// The head of an answer.
struct Head {
    status: u16,
    length: usize,
    chunked: bool,
}

fn wrong() -> Error {
    Error::Answer("it is not HTTP/1.1".into())
}

impl Http {
    pub(crate) fn connect(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
            address: address.into(),
            request: Vec::new(),
        })
    }

    /// Sends a `POST`; returns the body of a successful answer.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        )?;
        self.request.extend_from_slice(body);
        let mut answer = Vec::new();
        self.ask(&mut |part| answer.extend_from_slice(part))?;
        Ok(answer)
    }

    /// Sends a `GET` and passes the body to `take` as it arrives. Returns whether the answer was chunked.
    pub(crate) fn get(&mut self, path: &str, take: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
        self.request.clear();
        let host = &self.address;
        write!(self.request, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        self.ask(take)
    }

    /// Sends the request. An answer that is not a success becomes an error.
    fn ask(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
        self.stream.get_mut().write_all(&self.request)?;
        let head = self.head()?;
        let mut refusal = Vec::new();
        let mut refused = |part: &[u8]| refusal.extend_from_slice(part);
        let success = head.status / 100 == 2;
        let take: &mut dyn FnMut(&[u8]) = if success { take } else { &mut refused };
        if head.chunked {
            self.chunks(take)?;
        } else {
            self.body(head.length, take)?;
        }
        if success {
            return Ok(head.chunked);
        }
        let said = String::from_utf8_lossy(&refusal);
        Err(Error::Answer(format!("{} {said}", head.status)))
    }

    fn head(&mut self) -> Result<Head, Error> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut head = Head {
            status: status.ok_or_else(wrong)?,
            length: 0,
            chunked: false,
        };
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                return Ok(head);
            };
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.parse().map_err(|_| wrong())?;
            }
            head.chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
    }

    fn chunks(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let mut line = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim_end(), 16).map_err(|_| wrong())?;
            self.body(size, take)?;
            line.clear();
            self.stream.read_line(&mut line)?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn body(&mut self, length: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let mut left = length;
        let mut part = [0; 16 * 1024];
        while left > 0 {
            let want = left.min(part.len());
            self.stream.read_exact(&mut part[..want])?;
            take(&part[..want]);
            left -= want;
        }
        Ok(())
    }
}
