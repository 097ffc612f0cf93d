//! JSON values of a file or of standard input.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    thread,
};

use serde_json::{Deserializer, value::RawValue};
use tokio::sync::mpsc;

use crate::error::Error;

/// How many values are read ahead.
const READ_AHEAD: usize = 16;

/// The JSON values of a file, or of standard input for `-`, as they come.
///
/// They are read by a thread of its own, which the process does not wait for: a read from a terminal
/// or a pipe cannot be broken off.
pub(crate) fn read_values(
    file: &Path,
) -> Result<mpsc::Receiver<Result<Box<RawValue>, Error>>, Error> {
    let input: Box<dyn Read + Send> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let opened =
            File::open(file).map_err(|e| Error::Input(format!("{}: {e}", file.display())))?;
        Box::new(opened)
    };
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let read = move || {
        let values = Deserializer::from_reader(BufReader::new(input)).into_iter::<Box<RawValue>>();
        for value in values {
            let value = value.map_err(|e| Error::Input(format!("not JSON: {e}")));
            let failed = value.is_err();
            if sender.blocking_send(value).is_err() || failed {
                return;
            }
        }
    };
    thread::Builder::new().spawn(read).map_err(Error::Setup)?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn values(text: &str) -> Vec<Result<String, String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut receiver = read_values(file.path()).unwrap();
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
}
