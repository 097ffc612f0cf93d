//! `ltm bridge`: follows what a running engine of the reference publishes, and writes it.

mod report;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ltm_client::Client;
use ltm_store::{FlouChannels, Published, RedisSettings, fingerprint};
use ltm_types::{LtmId, ProblemKind, canonical_time};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};
use uuid::Uuid;

use crate::{
    args::BridgeArgs,
    client_of,
    error::{Error, said},
    holding::{Holding, is_start},
    import::import,
    json,
    output::Output,
    plan::Document,
};
use report::Report;

/// How often it is looked for snapshots that wait too long.
const LOOK: Duration = Duration::from_millis(250);
/// The pause before the API is asked again that cannot be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// A message as the reference's socket sends it.
#[derive(Deserialize)]
struct Message {
    snapshot: Option<Value>,
    /// Tells null from a field that is not there.
    #[serde(default, deserialize_with = "given")]
    snapshot_index: Option<Option<i64>>,
    error: Option<Value>,
}

fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What is known of an LTM of the reference.
enum Place {
    /// Its start is awaited: of an LTM that is not here, or that was rolled back to before it.
    Awaited { holding: Holding, restart: bool },
    /// It is here. What was imported along with it may still be published.
    Here { imported: HashSet<u64> },
    /// It is here, and messages about it may have been lost.
    Stale,
    /// It cannot be followed any more.
    Lost,
}

/// Follows the channels until a signal.
pub(crate) async fn run(client: &Client, args: &BridgeArgs, output: Output) -> Result<(), Error> {
    let settings = RedisSettings {
        url: args.from.clone(),
        ..RedisSettings::default()
    };
    let shown = settings.shown_place();
    let mut channels = FlouChannels::listen(settings)?;
    let reference = args.reference.clone();
    let reference = reference.map(|url| client_of(url, None)).transpose()?;
    let mut bridge = Bridge {
        client,
        reference,
        output,
        hold: Duration::from_secs(args.hold),
        places: HashMap::new(),
        report: Report::default(),
    };
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::Setup)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Error::Setup)?;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            tokio::select! {
                published = channels.next() => match published {
                    Some(Published::Listening) => {
                        output.note(&format!("following the channels ltm:* of {shown}; Ctrl-C ends it"));
                    }
                    Some(Published::Message(id, text)) => bridge.take(id, &text).await?,
                    Some(Published::Disconnected(cause)) => {
                        output.note(&format!("disconnected from {shown}: {cause}; what is published until the next connection is lost"));
                        bridge.doubt();
                    }
                    Some(Published::Lost) => {
                        output.note("messages came faster than they could be written, and were lost");
                        bridge.doubt();
                    }
                    None => return Ok(()),
                },
                _ = looks.tick() => bridge.look().await?,
            }
        }
    };
    let ended = tokio::select! {
        ended = work => ended,
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    };
    bridge.end();
    bridge.report.print(output)?;
    ended
}

struct Bridge<'a> {
    client: &'a Client,
    reference: Option<Client>,
    output: Output,
    hold: Duration,
    places: HashMap<LtmId, Place>,
    report: Report,
}

impl Bridge<'_> {
    /// Takes one message.
    async fn take(&mut self, id: LtmId, text: &str) -> Result<(), Error> {
        let message: Message = match json::read(text) {
            Ok(message) => message,
            Err(error) => {
                self.report
                    .lost(format!("LTM {id}: a message that cannot be read: {error}"));
                return Ok(());
            }
        };
        if !self.places.contains_key(&id) {
            let place = match self.is_here(id).await? {
                true => here(),
                false => Place::Awaited {
                    holding: Holding::new(),
                    restart: false,
                },
            };
            self.places.insert(id, place);
        }
        if matches!(self.places.get(&id), Some(Place::Stale)) {
            self.make_sure(id).await?;
        }
        match message {
            Message {
                snapshot: Some(step),
                ..
            } => self.take_step(id, step, text).await,
            Message {
                snapshot_index: Some(index),
                ..
            } => self.take_rollback(id, index).await,
            Message {
                error: Some(error), ..
            } => self.take_error(id, &error).await,
            _ => {
                self.report
                    .lost(format!("LTM {id}: a message of an unknown kind"));
                Ok(())
            }
        }
    }

    async fn take_step(&mut self, id: LtmId, step: Value, text: &str) -> Result<(), Error> {
        let starts = is_start(&step);
        match self.places.get_mut(&id) {
            Some(Place::Here { imported }) => {
                if imported.contains(&identity(&step)) {
                    return Ok(());
                }
                self.append(id, step).await
            }
            Some(Place::Awaited { holding, restart }) => {
                let restart = *restart;
                if !holding.hold(step, text.len()) {
                    {
                        self.lose(id, "too much was published before its start");
                        return Ok(());
                    }
                }
                if starts {
                    self.begin(id, restart).await?;
                }
                Ok(())
            }
            _ => {
                self.report.not_placed += 1;
                Ok(())
            }
        }
    }

    /// Writes what waited for the start, and the start.
    async fn begin(&mut self, id: LtmId, restart: bool) -> Result<(), Error> {
        let Some(Place::Awaited { holding, .. }) = self.places.insert(id, here()) else {
            return Ok(());
        };
        let mut steps = holding.into_steps().into_iter();
        if !restart && let Some(first) = steps.next() {
            self.create(id, first).await?;
        }
        for step in steps {
            self.append(id, step).await?;
        }
        Ok(())
    }

    async fn create(&mut self, id: LtmId, first: Value) -> Result<(), Error> {
        let document = self.ask_reference(id).await?;
        // The first execution is of the root.
        let queued = &first["execute_queue"][0]["fqn"];
        let root = queued.as_str().and_then(|fqn| fqn.split('.').next());
        let name = root.unwrap_or("ltm").to_owned();
        let mut body = json!({"id": id, "fqn": name, "name": name,
            "playground": first["item"]["playground"] == true, "snapshot": first});
        if let Some(document) = document {
            body["fqn"] = document.fqn.into();
            body["structure"] = document.structure;
            body["concurrent_instances"] = document.concurrent_instances;
        }
        let (producer, key) = (self.client.producer(), format!("ltm-bridge-{id}"));
        let created = self
            .persist(async || {
                let create = producer.create(&body).idempotency_key(key.clone());
                create.send().await
            })
            .await;
        match created {
            Ok(_) => {
                self.report.ltms += 1;
                self.report.snapshots += 1;
                self.output.note(&format!("LTM {id} begins"));
                Ok(())
            }
            Err(ltm_client::Error::Problem { problem, .. }) => {
                self.lose(id, &problem.detail);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn append(&mut self, id: LtmId, step: Value) -> Result<(), Error> {
        if matches!(self.places.get(&id), Some(Place::Lost)) {
            self.report.not_placed += 1;
            return Ok(());
        }
        // A bridge that runs beside this one writes the same.
        let key = format!("ltm-bridge-{:x}", identity(&step));
        match self.append_once(id, &step, &key).await {
            Ok(_) => self.report.snapshots += 1,
            Err(ltm_client::Error::Problem { problem, .. })
                if problem.is(ProblemKind::PatchFailed) =>
            {
                let time = &step["time"];
                self.report.lost(format!(
                    "LTM {id}: the patch of the snapshot of {time}, which is there without it: {}",
                    problem.detail
                ));
                let mut bare = step.clone();
                bare["patch"] = json!([]);
                self.append_once(id, &bare, &key).await?;
            }
            Err(ltm_client::Error::Problem { problem, .. }) => self.lose(id, &problem.detail),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn append_once(
        &self,
        id: LtmId,
        step: &Value,
        key: &str,
    ) -> Result<(), ltm_client::Error> {
        let producer = self.client.producer();
        let append = async || {
            let append = producer.append(id, step).idempotency_key(key.to_owned());
            append.send().await
        };
        self.persist(append).await.map(drop)
    }

    async fn take_rollback(&mut self, id: LtmId, index: Option<i64>) -> Result<(), Error> {
        if !matches!(self.places.get(&id), Some(Place::Here { .. })) {
            {
                self.lose(id, "it was rolled back before its start was published");
                return Ok(());
            }
        }
        let body = match index {
            Some(index) if index < 0 => json!({"snapshot": {"index": 0, "replay": true}}),
            Some(index) => json!({"snapshot": {"index": index}}),
            None => match self.undone(id).await? {
                Some(index) => json!({"rollback": {"index": index}}),
                None => {
                    let why = "a rollback was undone, and which one is not published; --reference would ask";
                    {
                        self.lose(id, why);
                        return Ok(());
                    }
                }
            },
        };
        match self.roll_back(id, &body).await {
            Ok(()) => self.report.rollbacks += 1,
            // The reference takes an index past the end, and changes nothing then.
            Err(error) if error.is(ProblemKind::InvalidRequest) && index.is_some() => {
                let last = self.client.state(id, None, None).await?.index;
                let body = json!({"snapshot": {"index": last}});
                self.roll_back(id, &body).await?;
                self.report.rollbacks += 1;
            }
            Err(ltm_client::Error::Problem { problem, .. }) => self.lose(id, &problem.detail),
            Err(error) => return Err(error.into()),
        }
        if index.is_some_and(|index| index < 0) {
            let holding = Holding::new();
            let restart = true;
            self.places.insert(id, Place::Awaited { holding, restart });
        }
        Ok(())
    }

    async fn roll_back(&self, id: LtmId, body: &Value) -> Result<(), ltm_client::Error> {
        // Two rollbacks to the same place are two.
        let (producer, key) = (self.client.producer(), Uuid::new_v4().to_string());
        let back = async || {
            let rollback = producer.rollback(id, body).idempotency_key(key.clone());
            rollback.send().await
        };
        self.persist(back).await.map(drop)
    }

    /// Which rollback was undone by the next one.
    async fn undone(&self, id: LtmId) -> Result<Option<u64>, Error> {
        let document = async || self.client.document(id, true).await;
        let ours: Document = read(self.persist(document).await?.text())?;
        let nth = ours.rollbacks.len();
        if let Some(theirs) = self.ask_reference(id).await? {
            return Ok(theirs.undone_by(nth));
        }
        Ok((nth == 1).then_some(0))
    }

    async fn take_error(&mut self, id: LtmId, error: &Value) -> Result<(), Error> {
        if !matches!(self.places.get(&id), Some(Place::Here { .. })) {
            self.report
                .lost(format!("LTM {id}: an error, because it is not here"));
            return Ok(());
        }
        let mut body = error.clone();
        body["time"] = error["updated_at"].clone();
        let key = fingerprint(&[body.to_string().as_bytes()]);
        let (producer, key) = (self.client.producer(), format!("ltm-bridge-{key:x}"));
        let record = async || {
            let record = producer
                .record_error(id, &body)
                .idempotency_key(key.clone());
            record.send().await
        };
        match self.persist(record).await {
            Ok(_) => self.report.errors += 1,
            Err(ltm_client::Error::Problem { problem, .. }) => {
                self.report
                    .lost(format!("LTM {id}: an error: {}", problem.detail));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Sees to the LTMs whose start was awaited too long: it was published before this listened.
    async fn look(&mut self) -> Result<(), Error> {
        let late = |(id, place): (&LtmId, &Place)| match place {
            Place::Awaited { holding, .. } if holding.is_over(self.hold) => Some(*id),
            _ => None,
        };
        let late: Vec<LtmId> = self.places.iter().filter_map(late).collect();
        for id in late {
            self.catch_up(id).await?;
        }
        Ok(())
    }

    /// Notes that messages about any LTM may have been lost.
    fn doubt(&mut self) {
        for place in self.places.values_mut() {
            if matches!(place, Place::Here { .. }) {
                *place = Place::Stale;
            }
        }
    }

    /// Writes what was lost of the snapshots of an LTM.
    async fn make_sure(&mut self, id: LtmId) -> Result<(), Error> {
        let Some(theirs) = self.ask_reference(id).await? else {
            self.lose(
                id,
                "messages about it may have been lost; --reference would ask for them",
            );
            return Ok(());
        };
        let document = async || self.client.document(id, true).await;
        let ours: Document = read(self.persist(document).await?.text())?;
        let last = ours.snapshots.last().map(identity);
        let place = theirs
            .snapshots
            .iter()
            .position(|step| Some(identity(step)) == last);
        let (Some(place), true) = (place, ours.rollbacks.len() == theirs.rollbacks.len()) else {
            self.lose(id, "it was rolled back while messages were lost");
            return Ok(());
        };
        for step in theirs.snapshots.iter().skip(place + 1) {
            self.append(id, step.clone()).await?;
        }
        if matches!(self.places.get(&id), Some(Place::Stale)) {
            let imported = theirs.snapshots.iter().map(identity).collect();
            self.places.insert(id, Place::Here { imported });
        }
        Ok(())
    }

    /// Imports an LTM that began before this listened, and goes on with what waited.
    async fn catch_up(&mut self, id: LtmId) -> Result<(), Error> {
        let restarted = matches!(
            self.places.get(&id),
            Some(Place::Awaited { restart: true, .. })
        );
        let Some(document) = self.ask_reference(id).await?.filter(|_| !restarted) else {
            let why = "its start was not published in time, or before this listened; --reference would ask for it";
            {
                self.lose(id, why);
                return Ok(());
            }
        };
        let Some(Place::Awaited { holding, .. }) = self.places.remove(&id) else {
            return Ok(());
        };
        match import(self.client, &document, Some(id), self.output).await {
            Ok(_) => self.report.ltms += 1,
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => {
                self.lose(id, &error.to_string());
                return Ok(());
            }
        }
        self.output
            .note(&format!("LTM {id} imported, which began before"));
        let imported: HashSet<u64> = document
            .snapshots
            .iter()
            .chain(document.rollbacks.iter().flat_map(|taken| &taken.snapshots))
            .map(identity)
            .collect();
        let missing = |step: &Value| !imported.contains(&identity(step));
        let steps: Vec<Value> = holding.into_steps().into_iter().filter(missing).collect();
        self.places.insert(id, Place::Here { imported });
        for step in steps {
            self.append(id, step).await?;
        }
        Ok(())
    }

    async fn ask_reference(&self, id: LtmId) -> Result<Option<Document>, Error> {
        let Some(reference) = &self.reference else {
            return Ok(None);
        };
        let document = match self
            .persist(async || reference.document(id, true).await)
            .await
        {
            Ok(document) => document,
            // It answers 500 for what it does not have.
            Err(error) => {
                let error = said(&error);
                self.output
                    .note(&format!("the reference does not give LTM {id}: {error}"));
                return Ok(None);
            }
        };
        read(document.text()).map(Some)
    }

    async fn is_here(&self, id: LtmId) -> Result<bool, Error> {
        match self
            .persist(async || self.client.state(id, None, None).await)
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is(ProblemKind::UnknownLtm) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks again as long as the API cannot be reached: what is published waits meanwhile.
    async fn persist<T>(
        &self,
        ask: impl AsyncFn() -> Result<T, ltm_client::Error>,
    ) -> Result<T, ltm_client::Error> {
        let mut noted = false;
        loop {
            match ask().await {
                Err(error) if error.is_unreachable() => {
                    if !noted {
                        let error = said(&error);
                        self.output.note(&format!("{error}; trying again ..."));
                    }
                    noted = true;
                    sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Gives an LTM up.
    fn lose(&mut self, id: LtmId, why: &str) {
        let before = self.places.insert(id, Place::Lost);
        if let Some(Place::Awaited { holding, .. }) = before {
            self.report.not_placed += holding.len() as u64;
        }
        self.report.lost(format!("LTM {id} from here on: {why}"));
        self.output
            .note(&format!("LTM {id} cannot be followed any more: {why}"));
    }

    /// Notes what still waits at the end.
    fn end(&mut self) {
        let mut waiting: Vec<(LtmId, usize)> = Vec::new();
        for (id, place) in &self.places {
            if let Place::Awaited { holding, .. } = place
                && holding.len() > 0
            {
                waiting.push((*id, holding.len()));
            }
        }
        waiting.sort();
        for (id, count) in waiting {
            self.report.not_placed += count as u64 - 1;
            self.report.lost(format!(
                "LTM {id}: {count} snapshots that waited for its start"
            ));
        }
    }
}

fn here() -> Place {
    Place::Here {
        imported: HashSet::new(),
    }
}

fn read(text: &str) -> Result<Document, Error> {
    json::read(text).map_err(|e| Error::Answered(format!("not the document of an LTM: {e}")))
}

/// What a snapshot is known by: no two have time, reason and item in common.
fn identity(step: &Value) -> u64 {
    let time = step["time"].as_str().unwrap_or_default();
    // The document spells it otherwise than the channel.
    let time = canonical_time(time).unwrap_or_else(|_| time.to_owned());
    let (reason, item) = (step["reason"].to_string(), step["item"].to_string());
    fingerprint(&[time.as_bytes(), reason.as_bytes(), item.as_bytes()])
}
