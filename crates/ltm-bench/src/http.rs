//! A client that costs little: one kept connection, one request at a time.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::error::Error;

/// A kept connection.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
    address: String,
    request: Vec<u8>,
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

    /// `POST`; gives the answer's body, where it is a success.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        )?;
        self.request.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.request)?;
        let mut answer = Vec::new();
        let status = self.answer(&mut |part| answer.extend_from_slice(part))?;
        if status / 100 != 2 {
            let said = String::from_utf8_lossy(&answer);
            return Err(Error::Answer(format!("{status} {said}")));
        }
        Ok(answer)
    }

    /// Reads an answer; its body goes to `take`. Gives the status.
    fn answer(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<u16, Error> {
        let wrong = || Error::Answer("something that is not HTTP/1.1".into());
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(wrong)?;
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(|_| wrong())?;
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        if !chunked {
            self.body(length, take)?;
            return Ok(status);
        }
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim_end(), 16).map_err(|_| wrong())?;
            self.body(size, take)?;
            line.clear();
            self.stream.read_line(&mut line)?;
            if size == 0 {
                return Ok(status);
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
