//! Reading the body of an append: one snapshot, or a batch of them.

use std::{fmt, marker::PhantomData};

use ltm_service::ProblemResponse;
use ltm_state::Limits;
use ltm_types::{Cursor, Problem, ProblemKind};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    body,
    problem::{in_snapshot, invalid},
};
use crate::{
    Api,
    body_budget::Share,
    object::Object,
    writer::{SnapshotFields, SnapshotWrite, Snapshots, WriteError},
};

/// The field of a batch that has its snapshots.
const SNAPSHOTS: &str = "snapshots";

/// The fields of a batch as a request gives them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchFields<'a> {
    #[serde(borrow)]
    snapshots: Texts<'a>,
    base: Option<Cursor>,
}

/// The texts of a list. The first [`Texts::MAX`] are kept, and all are counted.
struct Texts<'a> {
    kept: Vec<&'a str>,
    count: usize,
}

impl Texts<'_> {
    /// No setting allows more.
    const MAX: usize = 1000;
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for List<'a> {
            type Value = Texts<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of snapshots")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts<'a>, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < Texts::MAX {
                    match items.next_element::<&RawValue>()? {
                        Some(item) => kept.push(item.get()),
                        None => break,
                    }
                }
                let mut count = kept.len();
                if count == Texts::MAX {
                    while items.next_element::<IgnoredAny>()?.is_some() {
                        count += 1;
                    }
                }
                Ok(Texts { kept, count })
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// Reads a body: a snapshot, or `{"snapshots": […]}`. `has_lines` says that it has a snapshot in each line instead.
/// Takes the memory of what it reads from `share`.
pub(super) fn read(
    body: &[u8],
    has_lines: bool,
    api: &Api,
    share: &mut Share,
) -> Result<Snapshots, ProblemResponse> {
    let text = body::text(body)?;
    let limits = api.settings().limits();
    if has_lines {
        return batch(lines(text), None, api, share);
    }
    // Most requests have one snapshot. A batch is given up at its first field.
    if let Ok(Object(fields)) = serde_json::from_str::<Object<SnapshotFields<'_>>>(text) {
        share.add(fields.memory())?;
        return Ok(Snapshots::one(SnapshotWrite::read(fields, limits)?));
    }
    if names_snapshots(text) {
        let BatchFields { snapshots, base } = body::parse_text(text)?;
        return batch(snapshots, base, api, share);
    }
    let fields: SnapshotFields<'_> = body::parse_text(text)?;
    Ok(Snapshots::one(SnapshotWrite::read(fields, limits)?))
}

/// The lines of a text that are not empty.
fn lines(text: &str) -> Texts<'_> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let kept: Vec<&str> = lines.by_ref().take(Texts::MAX).collect();
    let count = kept.len() + lines.count();
    Texts { kept, count }
}

/// Whether the text is an object with the field of a batch, as far as it is JSON.
fn names_snapshots(text: &str) -> bool {
    struct Fields<'a>(&'a mut bool);

    impl<'de> Visitor<'de> for Fields<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<String>()? {
                if name == SNAPSHOTS {
                    *self.0 = true;
                    return Err(A::Error::custom("the rest is not read"));
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut found = false;
    // The text may be no JSON behind the field, or no object.
    let _ = serde_json::Deserializer::from_str(text).deserialize_map(Fields(&mut found));
    found
}

fn batch(
    texts: Texts<'_>,
    base: Option<Cursor>,
    api: &Api,
    share: &mut Share,
) -> Result<Snapshots, ProblemResponse> {
    check_count(texts.count, api)?;
    let limits = api.settings().limits();
    let (mut snapshots, mut memory) = (Vec::with_capacity(texts.kept.len()), 0);
    for (index, text) in texts.kept.into_iter().enumerate() {
        let of_snapshot = |problem| in_snapshot(problem, index);
        let fields: SnapshotFields<'_> = body::parse_text(text).map_err(of_snapshot)?;
        memory += fields.memory();
        check_memory(memory, &limits)?;
        share.add(fields.memory())?;
        let snapshot = snapshot(fields, limits);
        snapshots.push(snapshot.map_err(|error| of_snapshot(error.into()))?);
    }
    Ok(Snapshots::batch(snapshots, base, limits))
}

fn snapshot(fields: SnapshotFields<'_>, limits: Limits) -> Result<SnapshotWrite, WriteError> {
    if fields.base.is_some() {
        let problem = "`base` is for the whole batch; send it beside `snapshots`, or If-Match";
        return Err(WriteError::invalid("base", problem));
    }
    SnapshotWrite::read(fields, limits)
}

fn check_count(count: usize, api: &Api) -> Result<(), ProblemResponse> {
    let max = api.settings().max_batch;
    if count == 0 {
        return Err(invalid(
            SNAPSHOTS,
            "the batch has no snapshot; send at least one",
        ));
    }
    if count > max {
        api.limits().hit("api.max_batch");
        let detail = format!(
            "the batch has {count} snapshots, and {max} are allowed (api.max_batch); send several batches"
        );
        return Err(Problem::new(ProblemKind::BodyTooLarge, detail)
            .with_field(SNAPSHOTS)
            .into());
    }
    Ok(())
}

/// Rejects a batch whose changes would take more memory than a single one may.
fn check_memory(bytes: usize, limits: &Limits) -> Result<(), ProblemResponse> {
    let max = limits.max_memory;
    if bytes <= max {
        return Ok(());
    }
    let detail = format!(
        "the changes of the batch would take more than {max} bytes of memory; send several batches"
    );
    Err(Problem::new(ProblemKind::StateTooLarge, detail)
        .with_field(SNAPSHOTS)
        .into())
}
