//! One run: the events of its source, in batches, until it ends.

use std::time::Duration;

use ltm_client::Cursor;
use serde_json::{Map, Value};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    runs::Permit,
    source::{Body, Source, Waiting, failed},
    thread_log::{LogError, ThreadLog},
};
use crate::record::{End, Event, Record, Recorder, Run, join};

/// The most events of one write, and the most bytes of them.
const BATCH_EVENTS: usize = 200;
const BATCH_BYTES: usize = 1024 * 1024;
/// A write ends after the event with which its records reach this number.
const WRITE_RECORDS: usize = 250;

/// A recorder at a position of a log.
pub(super) struct Recording {
    pub(super) log: ThreadLog,
    pub(super) recorder: Recorder,
    pub(super) cursor: Cursor,
    /// The right to record the thread.
    pub(super) permit: Box<Permit>,
    pub(super) batch_interval: Duration,
    /// How long the log may stay without an entry.
    pub(super) quiet: Duration,
    /// When the log had its last entry.
    pub(super) written: Instant,
    /// Whether a run was recorded.
    pub(super) has_run: bool,
    /// How long the source of a run that has ended may take to begin the next one.
    pub(super) after_end: Duration,
    /// When the last run has ended.
    pub(super) ended: Option<Instant>,
}

/// How the source of a recording ended.
pub(super) enum Outcome {
    /// The source is complete, or its last run has ended.
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
        self.append(|it| it.start(run.clone(), input)).await?;
        self.has_run = true;
        Ok(())
    }

    async fn append(
        &mut self,
        mut make: impl FnMut(&mut Recorder) -> Vec<Record>,
    ) -> Result<(), LogError> {
        let (before, permit) = (self.cursor, &self.permit);
        let make = |recorder: &mut Recorder| {
            let records = make(recorder);
            if !records.is_empty() && !recorder.is_running() {
                // A page that reads the end may be back before the API has answered.
                permit.is_ending();
            }
            records
        };
        let (recorder, cursor) = (&mut self.recorder, &mut self.cursor);
        let appended = self.log.append(recorder, cursor, make).await;
        if self.cursor != before {
            self.written = Instant::now();
        }
        if appended.is_ok() && self.recorder.is_running() {
            self.permit.has_begun();
        }
        appended
    }

    /// Waits for something while the run says that it is not lost. `None` if the run is stopped first.
    pub(super) async fn alive_while<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, LogError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.permit.stop.cancelled() => return Ok(None),
                // It comes before the work: an agent can be busy with events that record nothing.
                () = sleep_until(self.written + self.quiet) => {
                    self.append(Recorder::alive).await?;
                    self.written = Instant::now();
                }
                done = &mut work => return Ok(Some(done)),
            }
        }
    }

    /// Records a source to its end. `recorded` learns of the events that are in the log.
    pub(super) async fn record(
        &mut self,
        source: Source<impl Body>,
        mut recorded: impl FnMut(usize),
    ) -> Result<Outcome, LogError> {
        let Source { mut events, reader } = source;
        let stop = self.permit.stop.clone();
        let (mut reading, mut read) = (std::pin::pin!(reader.read()), None);
        let writing = async {
            while let Some(first) = self.next(&mut events).await? {
                let batch = collect(first, &mut events, self.batch_interval).await;
                self.write(&batch.events).await?;
                recorded(batch.count);
            }
            Ok(self.has_ended())
        };
        let mut writing = std::pin::pin!(writing);
        // Events are read while others are written.
        let has_ended: Result<bool, LogError> = loop {
            tokio::select! {
                biased;
                written = &mut writing => break written,
                ended = &mut reading, if read.is_none() => read = Some(ended),
            }
        };
        Ok(match read.flatten() {
            // What the source does after its run is no failure.
            _ if has_ended? => Outcome::Complete,
            _ if stop.is_cancelled() => Outcome::Stopped,
            Some(end) => Outcome::Ended(end),
            None => Outcome::Complete,
        })
    }

    /// Whether the last run has ended.
    fn has_ended(&self) -> bool {
        self.has_run && !self.recorder.is_running()
    }

    /// The next event of the source. `None` if there is none, or if the run is stopped. After the end of a run the source may
    /// begin another one, unless somebody else wants the thread.
    async fn next(
        &mut self,
        events: &mut mpsc::Receiver<Waiting>,
    ) -> Result<Option<Waiting>, LogError> {
        if !self.has_ended() {
            self.ended = None;
            return Ok(self.alive_while(events.recv()).await?.flatten());
        }
        let ended = *self.ended.get_or_insert_with(Instant::now);
        Ok(tokio::select! {
            biased;
            () = self.permit.stop.cancelled() => None,
            // Before the events: a source that sends other ones without end does not keep the thread.
            () = sleep_until(ended + self.after_end) => None,
            next = events.recv() => next,
            () = self.permit.wanted() => None,
        })
    }

    /// Records events. If one is wrong, those before it are recorded.
    async fn write(&mut self, mut events: &[Event]) -> Result<(), LogError> {
        while !events.is_empty() {
            let written = self.write_some(events).await?;
            events = &events[written..];
        }
        Ok(())
    }

    /// Records the first events, as many as one write should have. Returns their number.
    async fn write_some(&mut self, events: &[Event]) -> Result<usize, LogError> {
        let (mut wrong, mut taken, had_run) = (None, 0, self.has_run);
        let mut has_run = had_run;
        let make = |recorder: &mut Recorder| {
            let (mut records, mut bytes) = (Vec::new(), 0);
            (wrong, taken) = (None, 0);
            has_run = had_run || recorder.is_running();
            for event in events {
                if records.len() >= WRITE_RECORDS || bytes >= BATCH_BYTES {
                    break;
                }
                taken += 1;
                // Between two runs there is nothing that a client accepts.
                if has_run && !recorder.is_running() && event.kind() != "RUN_STARTED" {
                    continue;
                }
                match recorder.record(event.clone()) {
                    Ok(more) => {
                        bytes += more.iter().map(Record::size).sum::<usize>();
                        records.extend(more);
                    }
                    Err(error) => {
                        wrong = Some(error);
                        break;
                    }
                }
                has_run |= recorder.is_running();
            }
            records
        };
        self.append(make).await?;
        self.has_run = has_run;
        wrong.map_or(Ok(taken), |error| Err(error.into()))
    }

    /// Ends the run, if it has not ended.
    pub(super) async fn end(&mut self, end: &End) -> Result<(), LogError> {
        let refused = match self.append(|it| it.end(end)).await {
            Err(LogError::Client(error)) if !error.is_temporary() => error,
            ended => return ended,
        };
        tracing::warn!(ltm = %self.log.key(), error = %refused, "recording only that the run has ended");
        self.append(|it| it.end_only(end)).await
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
