//! Events out of bytes: Server-Sent Events, or one JSON object on each line.

use std::collections::VecDeque;

/// The form of a body with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/event-stream`.
    Events,
    /// `application/x-ndjson`.
    Lines,
}

/// An event is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Takes bytes in any pieces, and gives the texts of events.
pub(super) struct Decoder {
    form: Form,
    max: usize,
    line: Vec<u8>,
    data: Vec<u8>,
    /// Whether the event has a line of data.
    has_data: bool,
    after_return: bool,
    ready: VecDeque<String>,
}

impl Decoder {
    pub(super) fn new(form: Form, max: usize) -> Self {
        Self {
            form,
            max,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_return: false,
            ready: VecDeque::new(),
        }
    }

    /// The next event.
    pub(super) fn next(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        for byte in bytes {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    self.end_line()?;
                }
                byte => {
                    self.after_return = false;
                    self.line.push(*byte);
                    self.check()?;
                }
            }
        }
        Ok(())
    }

    /// The body is complete. Some servers leave out the empty line after the last event.
    pub(super) fn finish(&mut self) -> Result<(), TooLarge> {
        if !self.line.is_empty() {
            self.end_line()?;
        }
        if self.form == Form::Events {
            self.end_event();
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TooLarge> {
        let size = self.line.len() + self.data.len();
        if size > self.max {
            Err(TooLarge)
        } else {
            Ok(())
        }
    }

    fn end_line(&mut self) -> Result<(), TooLarge> {
        let line = std::mem::take(&mut self.line);
        if self.form == Form::Lines {
            if !line.trim_ascii().is_empty() {
                self.ready.push_back(text(line));
            }
            return Ok(());
        }
        if line.is_empty() {
            self.end_event();
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend(data.strip_prefix(b" ").unwrap_or(data));
            self.check()?;
        }
        Ok(())
    }

    fn end_event(&mut self) {
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            self.ready.push_back(text(data));
        }
    }
}

/// What is not UTF-8 is no valid JSON either.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(form: Form, pieces: &[&str]) -> Vec<String> {
        let mut decoder = Decoder::new(form, 100);
        for piece in pieces {
            decoder.push(piece.as_bytes()).unwrap();
        }
        decoder.finish().unwrap();
        std::iter::from_fn(|| decoder.next()).collect()
    }

    #[test]
    fn events_come_out_of_any_pieces() {
        for pieces in [
            &["data: {\"a\":\ndata: 1}\n\nid: 7\n: ping\ndata:{}\n\n"][..],
            &["data: {\"a\":\r\nda", "ta: 1}\r", "\n\r\ndata:{}\r\n\r\n"],
            &["data: {\"a\":\rdata: 1}\r\rdata:{}"],
        ] {
            assert_eq!(
                read(Form::Events, pieces),
                ["{\"a\":\n1}", "{}"],
                "{pieces:?}"
            );
        }
        assert_eq!(
            read(Form::Lines, &["{}\n\n{\"a\"", ":1}"]),
            ["{}", "{\"a\":1}"]
        );
    }

    #[test]
    fn an_event_that_is_too_large_is_noticed_before_it_is_complete() {
        for form in [Form::Events, Form::Lines] {
            let mut decoder = Decoder::new(form, 100);
            decoder.push(b"data: ").unwrap();
            assert_eq!(decoder.push(&[b'x'; 100]), Err(TooLarge));
        }
    }
}
