//! Creating an LTM.

use ltm_docs::schemas::id_or_text;
use ltm_service::Span;
use ltm_state::{
    Change as StateChange, Limits, RetentionOverride, State, Work,
    json::{self, Shape, memory_of},
};
use ltm_store::{CreatedLtm, Idempotency, NewLtm, ProducerEpoch};
use ltm_types::{Cursor, Entry, Kind, LtmId, LtmKey, MAX_FQN, now};
use serde::Deserialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use utoipa::ToSchema;

use super::{
    draft::with_trace_parent,
    error::WriteError,
    snapshot::{SnapshotFields, SnapshotWrite, check_text, time},
    write::Writer,
};
use crate::{
    formats::{CONCURRENT_INSTANCES, ConcurrentInstances, STRUCTURE, Structure},
    json_work::on_drop_thread,
    object::Object,
    state_cache::Cached,
};

/// The fields of a creation as a request gives them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Creation, example = json!({"fqn": "app.Agent", "state": {"n": 0}}))]
pub(crate) struct CreationFields<'a> {
    /// The LTM's class.
    #[schema(min_length = 1, max_length = 1024)]
    pub(crate) fqn: String,
    /// The caller's own id of it, such as a UUID: 1 to 255 bytes, unique within the class for ever. If an LTM has
    /// this key, the answer is that LTM. Default: none.
    #[schema(min_length = 1, max_length = 255)]
    pub(crate) key: Option<String>,
    /// Its name. Default: that of `structure`, or the last word of its class.
    pub(crate) name: Option<String>,
    /// The parameters that it was started with.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    pub(crate) params: Option<&'a RawValue>,
    /// The payload that it was started for.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    pub(crate) payload: Option<&'a RawValue>,
    /// Whether it belongs to the playground's list. Default: false.
    pub(crate) playground: Option<bool>,
    /// The machine: `name`, `fqn`, and its parts.
    #[serde(borrow)]
    #[schema(value_type = Option<Structure>)]
    pub(crate) structure: Option<&'a RawValue>,
    /// The first state. Default: `{}`.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    pub(crate) state: Option<&'a RawValue>,
    /// The first snapshot, for a history that began elsewhere.
    #[serde(borrow)]
    #[schema(value_type = Option<SnapshotFields<'a>>)]
    pub(crate) snapshot: Option<Object<SnapshotFields<'a>>>,
    /// The instances of parameterised machines.
    #[serde(borrow)]
    #[schema(value_type = Option<ConcurrentInstances>)]
    pub(crate) concurrent_instances: Option<&'a RawValue>,
    /// An id that the caller chooses and that was never used, as a number or as its text. Default: the next free one.
    #[schema(schema_with = id_or_text, required = false)]
    pub(crate) id: Option<LtmId>,
    /// When it was created (RFC 3339). Default: now.
    #[schema(format = DateTime)]
    pub(crate) time: Option<String>,
    /// What is kept of its log, if that is not what the settings say.
    #[serde(default)]
    #[schema(value_type = RetentionRules, required = false)]
    pub(crate) retention: Object<RetentionOverride>,
}

/// What is kept of an LTM, if that is not what the settings say; null switches a rule off.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never made")]
struct RetentionRules {
    /// At least this many of the latest entries are kept.
    max_entries: Option<u64>,
    /// The latest entries are kept whose payloads have at most this many bytes together.
    max_bytes: Option<u64>,
    /// Older entries may be removed: `90d`, `12h`.
    max_age: Option<String>,
    /// The LTM is deleted if no producer wrote to it for this long.
    idle_ttl: Option<String>,
}

/// An LTM to create.
pub(crate) struct Creation {
    id: Option<LtmId>,
    fqn: String,
    key: Option<LtmKey>,
    reuse: bool,
    name: String,
    params: Box<RawValue>,
    structure: Box<RawValue>,
    concurrent_instances: Box<RawValue>,
    playground: bool,
    created_at: String,
    retention: RetentionOverride,
    first: SnapshotWrite,
}

impl CreationFields<'_> {
    /// The memory that its state and its structure would take.
    pub(crate) fn memory(&self) -> usize {
        let fields = [self.state, self.structure];
        let given = fields.into_iter().flatten();
        let snapshot = self.snapshot.as_ref().map_or(0, |it| it.0.memory());
        given.map(|json| memory_of(json.get())).sum::<usize>() + snapshot
    }
}

impl Creation {
    /// Reads the fields of a request. `reuse` gives the key of a deleted LTM to the new one.
    pub(crate) fn read(
        fields: CreationFields<'_>,
        reuse: bool,
        limits: Limits,
    ) -> Result<Self, WriteError> {
        check_class(&fields.fqn)?;
        let key = key_of(&fields, reuse)?;
        let object = |field, value, absent| {
            json::passthrough(field, value, absent, Shape::Object, limits.max_depth)
        };
        let params = object("params", fields.params, "null")?;
        let structure = object("structure", fields.structure, "{}")?;
        STRUCTURE.check("structure", structure.get())?;
        let instances = object("concurrent_instances", fields.concurrent_instances, "{}")?;
        CONCURRENT_INSTANCES.check("concurrent_instances", instances.get())?;
        let (name, structure) = identity(&fields, structure, &limits)?;
        check_text("name", &name)?;
        let created_at = time(fields.time.as_deref())?.unwrap_or_else(now);
        let mut first = match fields.snapshot {
            Some(Object(snapshot)) => {
                only_snapshot(fields.state, fields.payload)?;
                if snapshot.base.is_some() {
                    let problem = "a new LTM has no cursor yet; leave `base` out";
                    return Err(WriteError::invalid("snapshot.base", problem));
                }
                SnapshotWrite::read(snapshot, limits)?
            }
            None => {
                let payload = object("payload", fields.payload, "{}")?;
                start(
                    &params,
                    &payload,
                    fields.playground.unwrap_or(false),
                    fields.state,
                    limits,
                )?
            }
        };
        first.time.get_or_insert_with(|| created_at.clone());
        Ok(Self {
            id: fields.id,
            key,
            reuse,
            concurrent_instances: instances,
            params: if params.get() == "null" {
                RawValue::from_string("{}".into()).map_err(WriteError::Unwritable)?
            } else {
                params
            },
            fqn: fields.fqn,
            name,
            structure,
            playground: fields.playground.unwrap_or(false),
            created_at,
            retention: fields.retention.0,
            first,
        })
    }
}

impl Writer {
    /// Creates an LTM with its first snapshot, once per Idempotency-Key.
    pub(crate) async fn create(
        &self,
        creation: Creation,
        idempotency: Option<Idempotency<'_>>,
        producer: Option<&ProducerEpoch>,
    ) -> Result<CreatedLtm, WriteError> {
        let mut state = State::default();
        let cost = creation.first.change.cost(&state.tree);
        let first = move || {
            let mut creation = creation;
            let mut work = Work::within(&creation.first.limits);
            let first = creation.first.apply_to(&mut state, &mut work);
            (creation, state, first)
        };
        let (creation, state, first) = self.json_work.run(cost, first).await?;
        let (first, _) = first?;
        let span = Span::redis("EVALSHA", "create");
        let payload = with_trace_parent(first, span.as_ref());
        let entry = Entry::after(Cursor::ORIGIN, Kind::Snapshot, payload);
        let new = NewLtm {
            id: creation.id,
            key: creation.key.as_ref(),
            reuse: creation.reuse,
            name: &creation.name,
            fqn: &creation.fqn,
            params: creation.params.get(),
            structure: creation.structure.get(),
            concurrent_instances: creation.concurrent_instances.get(),
            status: state.status(),
            playground: creation.playground,
            created_at: &creation.created_at,
            retention: creation.retention,
            producer,
            first: &entry,
        };
        let created = self.store.create(&new, idempotency).await?;
        drop(span);
        if created.is_new && !created.replayed {
            self.metrics.created(entry.payload.len());
            let mut cached = Cached::new(state, creation.retention);
            cached.advance(&entry);
            self.keep(created.id, cached).await;
        }
        Ok(created)
    }
}

impl Writer {
    /// Keeps a new state in the cache. Others leave the cache for it, and to drop them takes time.
    async fn keep(&self, id: LtmId, cached: Cached) {
        let (cache, memory) = (self.cache.clone(), cached.memory());
        on_drop_thread(memory, move || cache.keep(id, cached)).await;
    }
}

fn check_class(fqn: &str) -> Result<(), WriteError> {
    if (1..=MAX_FQN).contains(&fqn.len()) {
        return Ok(());
    }
    let problem = format!("`fqn` must name the LTM's class in 1 to {MAX_FQN} bytes");
    Err(WriteError::invalid("fqn", problem))
}

/// The key, if the request has one.
fn key_of(fields: &CreationFields<'_>, reuse: bool) -> Result<Option<LtmKey>, WriteError> {
    let Some(key) = &fields.key else {
        let problem = "`reuse` gives the key of a deleted LTM to a new one; send a `key`";
        return if reuse {
            Err(WriteError::invalid("reuse", problem))
        } else {
            Ok(None)
        };
    };
    LtmKey::new(&fields.fqn, key)
        .map(Some)
        .map_err(|e| WriteError::invalid(e.field(), e.to_string()))
}

/// Snapshot 0: from the empty state to the first one.
fn start(
    params: &RawValue,
    payload: &RawValue,
    playground: bool,
    state: Option<&RawValue>,
    limits: Limits,
) -> Result<SnapshotWrite, WriteError> {
    let raw = |text: String| RawValue::from_string(text).map_err(WriteError::Unwritable);
    let none = raw("{}".into())?;
    let item = format!(r#"{{"payload":{payload},"params":{params},"playground":{playground}}}"#);
    Ok(SnapshotWrite {
        reason: "start".into(),
        time: None,
        item: raw(item)?,
        execute_queue: raw("[]".into())?,
        transitions_queue: raw("[]".into())?,
        change: StateChange::state(state.unwrap_or(&none), &limits)?,
        base: None,
        limits,
    })
}

/// Refuses fields that say the same as `snapshot`.
fn only_snapshot(state: Option<&RawValue>, payload: Option<&RawValue>) -> Result<(), WriteError> {
    let field = match (state, payload) {
        (Some(_), _) => "state",
        (_, Some(_)) => "payload",
        (None, None) => return Ok(()),
    };
    let problem = format!("`snapshot` is the first snapshot; leave `{field}` out beside it");
    Err(WriteError::invalid(field, problem))
}

/// The LTM's name and structure. Pages that show an LTM need both, so each is made from the other, or from the
/// class, if it is not given.
fn identity(
    fields: &CreationFields<'_>,
    structure: Box<RawValue>,
    limits: &Limits,
) -> Result<(String, Box<RawValue>), WriteError> {
    let memory = memory_of(structure.get());
    if memory > limits.max_memory {
        let max = limits.max_memory;
        let problem =
            format!("`structure` takes about {memory} bytes of memory, and {max} are allowed");
        return Err(WriteError::invalid("structure", problem));
    }
    let mut members: Map<String, Value> = json::read_checked(structure.get())
        .map_err(|e| WriteError::invalid("structure", e.to_string()))?;
    let named = members.get("name").and_then(Value::as_str);
    let last_word = fields.fqn.rsplit('.').next().unwrap_or(&fields.fqn);
    let name = fields
        .name
        .as_deref()
        .or(named)
        .unwrap_or(last_word)
        .to_owned();
    if members.contains_key("name") && members.contains_key("fqn") {
        return Ok((name, structure));
    }
    for key in ["name", "fqn"] {
        members.entry(key).or_insert_with(|| name.as_str().into());
    }
    let structure = to_raw_value(&members).map_err(WriteError::Unwritable)?;
    Ok((name, structure))
}
