//! `ltm bridge`: follows what a running Flou publishes, and writes it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ltm_client::{Client, ServerUrl};
use ltm_state::json;
use ltm_store::{FlouChannels, Published, RedisSettings, fingerprint};
use ltm_types::{LtmId, ProblemKind, canonical_time};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::{
    patient_api::PatientApi,
    pending::{PendingSnapshots, is_start},
    report::Report,
};
use crate::{
    client,
    documents::{FlouDocument, import::import},
    error::{Error, said},
    terminal::Output,
    text::count_of,
};

/// The arguments of `ltm bridge`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The Redis in which Flou publishes
    #[arg(
        long,
        value_name = "URL",
        env = "LTM_BRIDGE_FROM",
        hide_env_values = true
    )]
    from: String,
    /// The URL of Flou's API
    #[arg(long, value_name = "URL")]
    flou_api: Option<ServerUrl>,
    /// How long a snapshot waits for the first snapshot of its LTM, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    hold: u64,
}

/// How often the bridge looks for snapshots that have waited too long.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// A message of Flou, as its WebSocket sends it.
#[derive(Deserialize)]
struct FlouMessage {
    snapshot: Option<Value>,
    /// The outer option tells an absent field from null.
    #[serde(default, deserialize_with = "present")]
    snapshot_index: Option<Option<i64>>,
    error: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What the bridge knows of an LTM of Flou.
enum Tracking {
    /// The bridge waits for its first snapshot: the LTM is not here yet, or a rollback went back to before it.
    AwaitingStart {
        pending: PendingSnapshots,
        restart: bool,
    },
    /// The LTM is here. Snapshots that were imported with it may still be published.
    Following { imported: HashSet<u64> },
    /// The LTM is here, and messages about it may have been lost.
    Stale,
    /// The bridge has given it up.
    Lost,
}

impl Tracking {
    fn following() -> Self {
        Self::Following {
            imported: HashSet::new(),
        }
    }
}

/// Follows the channels until a signal.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let settings = RedisSettings {
        url: args.from.clone(),
        ..RedisSettings::default()
    };
    let shown = settings.shown_address();
    let mut channels = FlouChannels::listen(settings)?;
    let flou = args.flou_api.clone();
    let flou = flou.map(|url| client::build(url, None)).transpose()?;
    let api = |client| PatientApi { client, output };
    let mut bridge = Bridge {
        live: api(client.clone()),
        flou: flou.map(api),
        output,
        hold: Duration::from_secs(args.hold),
        ltms: HashMap::new(),
        report: Report::default(),
    };
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::Setup)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Error::Setup)?;
    let mut checks = interval(CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            tokio::select! {
                published = channels.next() => match published {
                    Some(Published::Listening) => {
                        output.note(&format!("following the channels ltm:* of {shown}; press Ctrl-C to stop"));
                    }
                    Some(Published::Message(id, text)) => bridge.take(id, &text).await?,
                    Some(Published::Disconnected(cause)) => {
                        output.note(&format!("disconnected from {shown}: {cause}; messages are lost until the bridge is connected again"));
                        bridge.doubt();
                    }
                    Some(Published::Lost) => {
                        output.note("Flou published faster than the bridge could write; messages were lost");
                        bridge.doubt();
                    }
                    None => return Ok(()),
                },
                _ = checks.tick() => bridge.give_up_waiting().await?,
            }
        }
    };
    let ended = tokio::select! {
        ended = work => ended,
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    };
    bridge.report_pending();
    bridge.report.print(output)?;
    ended
}

struct Bridge {
    live: PatientApi,
    flou: Option<PatientApi>,
    output: Output,
    hold: Duration,
    ltms: HashMap<LtmId, Tracking>,
    report: Report,
}

impl Bridge {
    /// Takes one message.
    async fn take(&mut self, id: LtmId, text: &str) -> Result<(), Error> {
        let message: FlouMessage = match json::read(text) {
            Ok(message) => message,
            Err(error) => {
                self.report
                    .lost(format!("LTM {id}: a message that cannot be read: {error}"));
                return Ok(());
            }
        };
        if !self.ltms.contains_key(&id) {
            let tracking = if self.live.has(id).await? {
                Tracking::following()
            } else {
                Tracking::AwaitingStart {
                    pending: PendingSnapshots::new(),
                    restart: false,
                }
            };
            self.ltms.insert(id, tracking);
        }
        if matches!(self.ltms.get(&id), Some(Tracking::Stale)) {
            self.fill_gap(id).await?;
        }
        match message {
            FlouMessage {
                snapshot: Some(step),
                ..
            } => self.take_snapshot(id, step, text).await,
            FlouMessage {
                snapshot_index: Some(index),
                ..
            } => self.take_rollback(id, index).await,
            FlouMessage {
                error: Some(error), ..
            } => self.take_error(id, &error).await,
            _ => {
                self.report
                    .lost(format!("LTM {id}: a message of an unknown kind"));
                Ok(())
            }
        }
    }

    async fn take_snapshot(&mut self, id: LtmId, step: Value, text: &str) -> Result<(), Error> {
        let starts = is_start(&step);
        match self.ltms.get_mut(&id) {
            Some(Tracking::Following { imported }) => {
                if imported.contains(&identity(&step)) {
                    return Ok(());
                }
                self.append(id, step).await
            }
            Some(Tracking::AwaitingStart { pending, restart }) => {
                let restart = *restart;
                if !pending.push(step, text.len()) {
                    self.lose(
                        id,
                        "too many snapshots were published before its first snapshot",
                    );
                } else if starts {
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

    /// Writes the first snapshot and those that waited for it.
    async fn begin(&mut self, id: LtmId, restart: bool) -> Result<(), Error> {
        let before = self.ltms.insert(id, Tracking::following());
        let Some(Tracking::AwaitingStart { pending, .. }) = before else {
            return Ok(());
        };
        let mut steps = pending.into_steps().into_iter();
        if !restart && let Some(first) = steps.next() {
            self.create(id, first).await?;
        }
        for step in steps {
            self.append(id, step).await?;
        }
        Ok(())
    }

    async fn create(&mut self, id: LtmId, first: Value) -> Result<(), Error> {
        let document = self.ask_flou(id).await?;
        // The first execution is the root's.
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
        let key = format!("ltm-bridge-{id}");
        match self.live.write(&key, |api| api.create(&body)).await {
            Ok(()) => {
                self.report.ltms += 1;
                self.report.snapshots += 1;
                self.output.note(&format!("LTM {id} begins"));
            }
            Err(ltm_client::Error::Problem { problem, .. }) => self.lose(id, &problem.detail),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn append(&mut self, id: LtmId, mut step: Value) -> Result<(), Error> {
        if matches!(self.ltms.get(&id), Some(Tracking::Lost)) {
            self.report.not_placed += 1;
            return Ok(());
        }
        // A second bridge writes the same snapshot under the same key.
        let key = format!("ltm-bridge-{:x}", identity(&step));
        match self.live.write(&key, |api| api.append(id, &step)).await {
            Ok(()) => self.report.snapshots += 1,
            Err(ltm_client::Error::Problem { problem, .. })
                if problem.is(ProblemKind::PatchFailed) =>
            {
                let time = &step["time"];
                self.report.lost(format!(
                    "LTM {id}: the patch of the snapshot of {time}, which is written without it: {}",
                    problem.detail
                ));
                step["patch"] = json!([]);
                self.live.write(&key, |api| api.append(id, &step)).await?;
            }
            Err(ltm_client::Error::Problem { problem, .. }) => self.lose(id, &problem.detail),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn take_rollback(&mut self, id: LtmId, index: Option<i64>) -> Result<(), Error> {
        if !matches!(self.ltms.get(&id), Some(Tracking::Following { .. })) {
            self.lose(id, "it was rolled back before its first snapshot came");
            return Ok(());
        }
        let target = match index {
            Some(index) if index < 0 => json!({"snapshot": {"index": 0, "replay": true}}),
            Some(index) => json!({"snapshot": {"index": index}}),
            None => match self.undone(id).await? {
                Some(index) => json!({"rollback": {"index": index}}),
                None => {
                    self.lose(
                        id,
                        "a rollback was undone, and Flou does not publish which one; use --flou-api",
                    );
                    return Ok(());
                }
            },
        };
        match self.roll_back(id, &target).await {
            Ok(()) => self.report.rollbacks += 1,
            // Flou accepts an index past the end; it then changes nothing.
            Err(error) if error.is(ProblemKind::InvalidRequest) && index.is_some() => {
                let last = self.live.last_index(id).await?;
                let target = json!({"snapshot": {"index": last}});
                self.roll_back(id, &target).await?;
                self.report.rollbacks += 1;
            }
            Err(ltm_client::Error::Problem { problem, .. }) => self.lose(id, &problem.detail),
            Err(error) => return Err(error.into()),
        }
        if index.is_some_and(|index| index < 0) {
            let tracking = Tracking::AwaitingStart {
                pending: PendingSnapshots::new(),
                restart: true,
            };
            self.ltms.insert(id, tracking);
        }
        Ok(())
    }

    async fn roll_back(&self, id: LtmId, target: &Value) -> Result<(), ltm_client::Error> {
        // Two rollbacks to the same snapshot are two, so the key is not made of the target.
        let key = Uuid::new_v4().to_string();
        self.live.write(&key, |api| api.rollback(id, target)).await
    }

    /// Which rollback the next one undoes, if that can be found out.
    async fn undone(&self, id: LtmId) -> Result<Option<u64>, Error> {
        let ours = read(&self.live.document(id).await?)?;
        let nth = ours.rollbacks.len();
        Ok(match self.ask_flou(id).await? {
            Some(theirs) => theirs.undone_by(nth),
            None => (nth == 1).then_some(0),
        })
    }

    async fn take_error(&mut self, id: LtmId, error: &Value) -> Result<(), Error> {
        if !matches!(self.ltms.get(&id), Some(Tracking::Following { .. })) {
            self.report.lost(format!(
                "LTM {id}: an error, because the LTM is not followed"
            ));
            return Ok(());
        }
        let mut body = error.clone();
        body["time"] = error["updated_at"].clone();
        let key = fingerprint(&[body.to_string().as_bytes()]);
        let key = format!("ltm-bridge-{key:x}");
        match self
            .live
            .write(&key, |api| api.record_error(id, &body))
            .await
        {
            Ok(()) => self.report.errors += 1,
            Err(ltm_client::Error::Problem { problem, .. }) => {
                self.report
                    .lost(format!("LTM {id}: an error: {}", problem.detail));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Imports the LTMs whose first snapshot did not come in time: Flou published it before the bridge listened.
    async fn give_up_waiting(&mut self) -> Result<(), Error> {
        let late = |(id, tracking): (&LtmId, &Tracking)| match tracking {
            Tracking::AwaitingStart { pending, .. } if pending.is_older_than(self.hold) => {
                Some(*id)
            }
            _ => None,
        };
        let late: Vec<LtmId> = self.ltms.iter().filter_map(late).collect();
        for id in late {
            self.catch_up(id).await?;
        }
        Ok(())
    }

    /// Notes that messages about any LTM may have been lost.
    fn doubt(&mut self) {
        for tracking in self.ltms.values_mut() {
            if matches!(tracking, Tracking::Following { .. }) {
                *tracking = Tracking::Stale;
            }
        }
    }

    /// Writes the snapshots of an LTM whose messages were lost.
    async fn fill_gap(&mut self, id: LtmId) -> Result<(), Error> {
        let Some(theirs) = self.ask_flou(id).await? else {
            self.lose(
                id,
                "messages about it may have been lost; --flou-api can fill the gap",
            );
            return Ok(());
        };
        let ours = read(&self.live.document(id).await?)?;
        let last = ours.snapshots.last().map(identity);
        let known = theirs
            .snapshots
            .iter()
            .position(|step| Some(identity(step)) == last);
        let (Some(known), true) = (known, ours.rollbacks.len() == theirs.rollbacks.len()) else {
            self.lose(id, "it was rolled back while messages were lost");
            return Ok(());
        };
        for step in theirs.snapshots.iter().skip(known + 1) {
            self.append(id, step.clone()).await?;
        }
        if matches!(self.ltms.get(&id), Some(Tracking::Stale)) {
            let imported = theirs.snapshots.iter().map(identity).collect();
            self.ltms.insert(id, Tracking::Following { imported });
        }
        Ok(())
    }

    /// Imports an LTM that began before the bridge listened, and appends the snapshots that waited.
    async fn catch_up(&mut self, id: LtmId) -> Result<(), Error> {
        let restarted = matches!(
            self.ltms.get(&id),
            Some(Tracking::AwaitingStart { restart: true, .. })
        );
        let Some(document) = self.ask_flou(id).await?.filter(|_| !restarted) else {
            self.lose(
                id,
                "its first snapshot came too late, or before the bridge listened; --flou-api can import it",
            );
            return Ok(());
        };
        let Some(Tracking::AwaitingStart { pending, .. }) = self.ltms.remove(&id) else {
            return Ok(());
        };
        match import(&self.live.client, &document, Some(id), self.output).await {
            Ok(_) => self.report.ltms += 1,
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => {
                self.report.not_placed += pending.len() as u64;
                self.lose(id, &error.to_string());
                return Ok(());
            }
        }
        self.output.note(&format!(
            "LTM {id} imported; it began before the bridge listened"
        ));
        let imported: HashSet<u64> = document
            .snapshots
            .iter()
            .chain(document.rollbacks.iter().flat_map(|taken| &taken.snapshots))
            .map(identity)
            .collect();
        let missing = |step: &Value| !imported.contains(&identity(step));
        let steps: Vec<Value> = pending.into_steps().into_iter().filter(missing).collect();
        self.ltms.insert(id, Tracking::Following { imported });
        for step in steps {
            self.append(id, step).await?;
        }
        Ok(())
    }

    /// The document that Flou has of an LTM, if the bridge may ask and Flou has one.
    async fn ask_flou(&self, id: LtmId) -> Result<Option<FlouDocument>, Error> {
        let Some(flou) = &self.flou else {
            return Ok(None);
        };
        match flou.document(id).await {
            Ok(document) => read(&document).map(Some),
            // Flou answers 500 for an LTM that it does not have.
            Err(error) => {
                let error = said(&error);
                self.output
                    .note(&format!("Flou does not return LTM {id}: {error}"));
                Ok(None)
            }
        }
    }

    /// Gives an LTM up.
    fn lose(&mut self, id: LtmId, why: &str) {
        let before = self.ltms.insert(id, Tracking::Lost);
        if let Some(Tracking::AwaitingStart { pending, .. }) = before {
            self.report.not_placed += pending.len() as u64;
        }
        self.report.lost(format!("LTM {id} from here on: {why}"));
        self.output
            .note(&format!("LTM {id} cannot be followed any more: {why}"));
    }

    /// Reports the snapshots that still wait at the end.
    fn report_pending(&mut self) {
        let mut waiting: Vec<(LtmId, usize)> = Vec::new();
        for (id, tracking) in &self.ltms {
            if let Tracking::AwaitingStart { pending, .. } = tracking
                && pending.len() > 0
            {
                waiting.push((*id, pending.len()));
            }
        }
        waiting.sort();
        for (id, count) in waiting {
            self.report.not_placed += count as u64 - 1;
            let snapshots = count_of(count, "snapshot");
            self.report.lost(format!(
                "LTM {id}: {snapshots} that waited for its first snapshot"
            ));
        }
    }
}

fn read(text: &str) -> Result<FlouDocument, Error> {
    json::read(text).map_err(|e| Error::Answered(format!("not the document of an LTM: {e}")))
}

/// What identifies a snapshot: no two have the same time, reason and item.
fn identity(step: &Value) -> u64 {
    let time = step["time"].as_str().unwrap_or_default();
    // The document and the channel spell times differently.
    let time = canonical_time(time).unwrap_or_else(|_| time.to_owned());
    let (reason, item) = (step["reason"].to_string(), step["item"].to_string());
    fingerprint(&[time.as_bytes(), reason.as_bytes(), item.as_bytes()])
}
