//! One run: the events of its source, in batches, until it ends.

use std::time::Duration;

use ltm_client::Cursor;
use serde_json::{Map, Value};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    source::{Body, Source, Waiting, failed},
    thread_log::{LogError, ThreadLog},
};
use crate::record::{End, Event, Recorder, Run, join};

/// The most events of one write, and the most bytes of them.
const BATCH_EVENTS: usize = 200;
const BATCH_BYTES: usize = 1024 * 1024;

/// A recorder at a position of a log.
pub(super) struct Recording {
    pub(super) log: ThreadLog,
    pub(super) recorder: Recorder,
    pub(super) cursor: Cursor,
    pub(super) batch_interval: Duration,
    /// How long the log may stay without an entry.
    pub(super) quiet: Duration,
}

/// How the source of a recording ended.
pub(super) enum Outcome {
    /// The source is complete, or its run is.
    Complete,
    /// Somebody stopped the run.
    Stopped,
    /// The source failed.
    Ended(End),
}

impl Recording {
    /// Begins a run.
    pub(super) async fn begin(
        &mut self,
        run: &Run,
        input: &Map<String, Value>,
    ) -> Result<(), LogError> {
        let (recorder, cursor) = (&mut self.recorder, &mut self.cursor);
        let begin = |it: &mut Recorder| it.start(run.clone(), input);
        self.log.append(recorder, cursor, begin).await
    }

    /// Waits for something while the run says that it is not lost. `None` if the run is stopped first.
    pub(super) async fn alive_while<T>(
        &mut self,
        work: impl Future<Output = T>,
        stop: &CancellationToken,
    ) -> Result<Option<T>, LogError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                done = &mut work => return Ok(Some(done)),
                () = sleep(self.quiet) => {
                    let (recorder, cursor) = (&mut self.recorder, &mut self.cursor);
                    self.log.append(recorder, cursor, Recorder::alive).await?;
                }
            }
        }
    }

    /// Records a source to its end. `recorded` learns of the events that are in the log.
    pub(super) async fn record(
        &mut self,
        source: Source<impl Body>,
        stop: &CancellationToken,
        mut recorded: impl FnMut(usize),
    ) -> Result<Outcome, LogError> {
        let Source { mut events, reader } = source;
        let (mut reading, mut read) = (std::pin::pin!(reader.read()), None);
        let writing = async {
            while let Some(first) = self.alive_while(events.recv(), stop).await?.flatten() {
                let batch = collect(first, &mut events, self.batch_interval).await;
                self.write(&batch.events).await?;
                recorded(batch.count);
                if !self.recorder.is_running() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let mut writing = std::pin::pin!(writing);
        // Events are read while others are written.
        let is_complete: Result<bool, LogError> = loop {
            tokio::select! {
                biased;
                written = &mut writing => break written,
                ended = &mut reading, if read.is_none() => read = Some(ended),
            }
        };
        Ok(match read.flatten() {
            _ if is_complete? => Outcome::Complete,
            _ if stop.is_cancelled() => Outcome::Stopped,
            Some(end) => Outcome::Ended(end),
            None => Outcome::Complete,
        })
    }

    /// Records events. If one is wrong, those before it are recorded.
    async fn write(&mut self, events: &[Event]) -> Result<(), LogError> {
        let mut wrong = None;
        let make = |recorder: &mut Recorder| {
            let (mut records, mut was_running) = (Vec::new(), recorder.is_running());
            for event in events {
                // What an agent sends after its run is nothing that a client accepts.
                if was_running && !recorder.is_running() && event.kind() != "RUN_STARTED" {
                    break;
                }
                match recorder.record(event.clone()) {
                    Ok(more) => records.extend(more),
                    Err(error) => {
                        wrong = Some(error);
                        break;
                    }
                }
                was_running |= recorder.is_running();
            }
            records
        };
        let (recorder, cursor) = (&mut self.recorder, &mut self.cursor);
        self.log.append(recorder, cursor, make).await?;
        wrong.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Ends the run, if it has not ended.
    pub(super) async fn end(&mut self, end: &End) -> Result<(), LogError> {
        let (recorder, cursor) = (&mut self.recorder, &mut self.cursor);
        self.log.append(recorder, cursor, |it| it.end(end)).await
    }

    /// Ends a run whose source is complete: its agent should have ended it.
    pub(super) async fn end_complete(&mut self) -> Result<(), LogError> {
        let message = "the agent ended its answer without RUN_FINISHED or RUN_ERROR";
        self.end(&failed("upstream-cut", message.into())).await
    }
}

/// Events that are written together.
struct Batch {
    events: Vec<Event>,
    count: usize,
}

/// Collects events for a time.
async fn collect(first: Waiting, events: &mut mpsc::Receiver<Waiting>, time: Duration) -> Batch {
    let until = Instant::now() + time;
    let mut bytes = first.bytes;
    let mut batch = Batch {
        events: Vec::new(),
        count: 1,
    };
    join(&mut batch.events, first.event);
    while batch.count < BATCH_EVENTS && bytes < BATCH_BYTES {
        let next = match events.try_recv() {
            Ok(next) => next,
            Err(_) => match timeout_at(until, events.recv()).await {
                Ok(Some(next)) => next,
                Ok(None) | Err(_) => break,
            },
        };
        bytes += next.bytes;
        batch.count += 1;
        join(&mut batch.events, next.event);
    }
    batch
}
