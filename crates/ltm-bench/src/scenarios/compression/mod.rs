//! What compressed messages save and cost, compared with the same messages uncompressed.

pub(crate) mod messages;
pub(crate) mod resets;

use serde_json::{Value, json};

use crate::{error::Error, report::Row};

/// Recorded histories.
const RECORDINGS: [&str; 4] = [
    include_str!("../../../../../tests/data/lists.json"),
    include_str!("../../../../../tests/data/patch_ops.json"),
    include_str!("../../../../../tests/data/tutorial.json"),
    include_str!("../../../../../tests/data/type_changes.json"),
];
/// The fields of a snapshot that an engine sends.
const SENT: [&str; 5] = [
    "reason",
    "item",
    "patch",
    "execute_queue",
    "transitions_queue",
];
/// The processes whose CPU time counts.
const SERVICES: [&str; 3] = ["ltm-api", "ltm-gateway", "redis"];

/// What deliveries cost.
#[derive(Default)]
struct Cost {
    deliveries: f64,
    bytes: f64,
    /// Microseconds.
    cpu: f64,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.cpu += other.cpu;
    }

    /// Adds the cost of compressed deliveries to a row, beside that of the same deliveries uncompressed.
    fn beside(&self, plain: &Self, row: Row) -> Row {
        row.with("bytes each", plain.bytes / plain.deliveries)
            .with("compressed", self.bytes / self.deliveries)
            .with("× bytes", self.bytes / plain.bytes)
            .with("CPU µs each", plain.cpu / plain.deliveries)
            .with("compressed CPU µs each", self.cpu / self.deliveries)
            .with("× CPU", self.cpu / plain.cpu)
    }
}

/// The snapshots of a document, or of a recording that contains one, as an engine sends them.
fn snapshots(text: &str) -> Result<Vec<Value>, Error> {
    let unreadable = |what: String| Error::Scenario(format!("a history cannot be read: {what}"));
    let file: Value = serde_json::from_str(text).map_err(|e| unreadable(e.to_string()))?;
    let found = file.pointer("/documents/0/document").unwrap_or(&file);
    let Some(snapshots) = found["snapshots"].as_array() else {
        return Err(unreadable("it has no snapshots".into()));
    };
    let sent = |snapshot: &Value| {
        let fields = SENT.iter().filter_map(|name| {
            let value = snapshot.get(name).filter(|value| !value.is_null())?;
            Some(((*name).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    Ok(snapshots.iter().map(sent).collect())
}

/// A state of at least so many bytes that consists of recorded snapshots.
pub(super) fn recorded_state(bytes: usize) -> Result<Value, Error> {
    let mut recorded = Vec::new();
    for recording in RECORDINGS {
        recorded.extend(snapshots(recording)?);
    }
    let (mut steps, mut length) = (Vec::new(), 0);
    for (number, snapshot) in recorded.iter().cycle().enumerate() {
        if length >= bytes {
            break;
        }
        let step = json!({"number": number, "snapshot": snapshot});
        length += step.to_string().len();
        steps.push(step);
    }
    Ok(json!({"text": "", "steps": steps}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_a_document_or_a_recording_of_one() {
        for recording in RECORDINGS {
            assert!(snapshots(recording).unwrap().len() >= 20);
        }
        let document = r#"{"snapshots":[{"index":0,"reason":"start","item":null,"patch":[]}]}"#;
        let sent = json!({"reason": "start", "patch": []});
        assert_eq!(snapshots(document).unwrap(), [sent]);
        assert!(snapshots("{}").is_err());
    }

    #[test]
    fn the_state_has_at_least_so_many_bytes() {
        let length = recorded_state(100_000).unwrap().to_string().len();
        assert!((100_000..110_000).contains(&length), "{length}");
    }
}
