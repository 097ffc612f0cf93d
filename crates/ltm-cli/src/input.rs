//! JSON values from a file or standard input.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    thread,
};

use serde::{
    Deserializer as _,
    de::{SeqAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};
use tokio::sync::mpsc;

use crate::error::Error;

/// The values that are read ahead.
const READ_AHEAD: usize = 16;
/// The documents that are read ahead: each can be large.
const DOCUMENTS_AHEAD: usize = 1;

/// A value as it is in the input, or why reading ended.
pub(crate) type Item = Result<Box<RawValue>, Error>;

/// The JSON values of a file, or of standard input for `-`, one by one.
///
/// A separate thread reads them, and the process does not wait for it at the end: a read from a terminal or a
/// pipe cannot be cancelled.
pub(crate) fn read_values(file: &Path) -> Result<mpsc::Receiver<Item>, Error> {
    let input = open(file).map_err(|e| Error::Input(format!("{}: {e}", file.display())))?;
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    spawn(move || send(Deserializer::from_reader(input), &sender))?;
    Ok(receiver)
}

/// The same, except that a list at the beginning of the input counts as its items; it is never held whole. No error names
/// the file.
pub(crate) fn read_documents(file: &Path) -> Result<mpsc::Receiver<Item>, Error> {
    let mut input = open(file).map_err(|e| Error::Input(e.to_string()))?;
    let (sender, receiver) = mpsc::channel(DOCUMENTS_AHEAD);
    spawn(move || {
        let list = begins_with_list(&mut input);
        let mut deserializer = Deserializer::from_reader(input);
        let read = match list {
            Ok(true) => deserializer.deserialize_seq(Items(&sender)),
            Ok(false) => Ok(()),
            Err(error) => Err(serde_json::Error::io(error)),
        };
        match read {
            Ok(()) => send(deserializer, &sender),
            // The receiver may be gone.
            Err(error) => drop(sender.blocking_send(Err(not_json(&error)))),
        }
    })?;
    Ok(receiver)
}

fn open(file: &Path) -> io::Result<BufReader<Box<dyn Read + Send>>> {
    if file == Path::new("-") {
        return Ok(BufReader::new(Box::new(io::stdin())));
    }
    Ok(BufReader::new(Box::new(File::open(file)?)))
}

fn spawn(read: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread::Builder::new().spawn(read).map_err(Error::Setup)?;
    Ok(())
}

fn send(
    deserializer: Deserializer<impl serde_json::de::Read<'static>>,
    sender: &mpsc::Sender<Item>,
) {
    for value in deserializer.into_iter::<Box<RawValue>>() {
        let value = value.map_err(|e| not_json(&e));
        let failed = value.is_err();
        if sender.blocking_send(value).is_err() || failed {
            return;
        }
    }
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::Input(format!("not JSON: {error}"))
}

/// Whether the input begins with a list, after white space.
fn begins_with_list(input: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let (blank, next) = {
            let buffer = input.fill_buf()?;
            let blank = buffer
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            (blank, buffer.get(blank).copied())
        };
        input.consume(blank);
        if next.is_some() || blank == 0 {
            return Ok(next == Some(b'['));
        }
    }
}

/// Sends the values of a list one by one.
struct Items<'a>(&'a mpsc::Sender<Item>);

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            if self.0.blocking_send(Ok(item)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn values(text: &str) -> Vec<Result<String, String>> {
        taken(text, read_values).await
    }

    async fn taken(
        text: &str,
        read: impl Fn(&Path) -> Result<mpsc::Receiver<Item>, Error>,
    ) -> Vec<Result<String, String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut receiver = read(file.path()).unwrap();
        let mut all = Vec::new();
        while let Some(value) = receiver.recv().await {
            all.push(
                value
                    .map(|json| json.get().to_owned())
                    .map_err(|e| e.to_string()),
            );
        }
        all
    }

    #[tokio::test]
    async fn an_object_over_several_lines_is_one_value_and_lines_are_many() {
        let one = "{\n \"n\": 0.10\n}\n";
        assert_eq!(values(one).await, [Ok(one.trim().to_owned())]);
        let many: Vec<_> = (0..100).map(|n| format!("{{\"n\":{n}}}")).collect();
        let read = values(&many.join("\n")).await;
        assert_eq!(read, many.into_iter().map(Ok).collect::<Vec<_>>());
        assert!(values(" \n").await.is_empty());
    }

    #[tokio::test]
    async fn what_comes_before_a_broken_line_is_read() {
        let read = values("{}\n{\"n\":\n").await;
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], Ok("{}".to_owned()));
        assert!(read[1].as_ref().unwrap_err().starts_with("not JSON: "));
    }

    #[tokio::test]
    async fn a_list_is_read_item_by_item_and_what_follows_it_too() {
        let ok = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Ok((*text).into()))
                .collect::<Vec<_>>()
        };
        for (text, expected) in [
            (
                "\n [{\"n\": 1.0}, 2]\n{} ",
                &["{\"n\": 1.0}", "2", "{}"][..],
            ),
            ("[]", &[]),
            (" ", &[]),
            ("{} [3]", &["{}", "[3]"]),
        ] {
            assert_eq!(taken(text, read_documents).await, ok(expected), "{text}");
        }
        // The items before the fault arrive before the fault.
        let broken = taken("[1, 2, {", read_documents).await;
        assert_eq!(broken[..2], ok(&["1", "2"]));
        assert!(broken[2].as_ref().unwrap_err().starts_with("not JSON: "));
    }
}
