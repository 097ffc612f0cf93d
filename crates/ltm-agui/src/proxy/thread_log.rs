//! The LTM of a thread: reads its state, and appends the records of a run.

use std::time::{Duration, Instant};

use ltm_client::{
    Answer, Client, Cursor, Error, LtmKey, Options, Producer, ServerUrl, StateAt, Token,
};
use ltm_types::{ProblemKind, member::STATUS};
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::record::{EventError, Mark, REASON, Record, Recorder};

/// The pause between two series of attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// The most records of one write, and the most bytes of them: less than `api.max_batch` and `api.max_body`.
const PART_RECORDS: usize = 500;
const PART_BYTES: usize = 7 * 1024 * 1024;

/// The LTM of a thread.
#[derive(Clone)]
pub(super) struct ThreadLog {
    producer: Producer,
    client: Client,
    key: LtmKey,
    write_timeout: Duration,
}

/// Why events could not be recorded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    /// The API rejects the write, or could not be reached for `agui.write_timeout`.
    #[error(transparent)]
    Client(#[from] Error),
    /// An event is not one.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Somebody else has ended the run, or has begun another one.
    #[error("the run was ended by somebody else")]
    Taken,
}

impl LogError {
    /// Whether the API would reject the same write again.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::Client(error) => !error.is_temporary(),
            Self::Event(_) | Self::Taken => true,
        }
    }
}

/// A client that calls as `token` does.
pub(super) fn client(server: ServerUrl, token: Option<Token>) -> Result<Client, Error> {
    let options = Options {
        // The recorder itself tries for longer, and must notice in time.
        attempts: 3,
        ..Options::default()
    };
    let builder = Client::builder(server).options(options);
    let builder = builder.agent(concat!("ltm-agui/", env!("CARGO_PKG_VERSION")));
    match token {
        Some(token) => builder.token(token).build(),
        None => builder.build(),
    }
}

impl ThreadLog {
    pub(super) fn new(client: Client, key: LtmKey, write_timeout: Duration) -> Self {
        Self {
            producer: client.producer(),
            client,
            key,
            write_timeout,
        }
    }

    /// The name of the LTM.
    pub(super) fn key(&self) -> &LtmKey {
        &self.key
    }

    /// Gets or creates the LTM. This needs the right to write LTMs of its class. A new one does not run: its run may never
    /// begin.
    pub(super) async fn create(&self) -> Result<(), Error> {
        let new = json!({
            "fqn": self.key.fqn(), "key": self.key.key(), "name": self.key.key(),
            "state": {STATUS: "finished"},
        });
        self.producer.create(&new).send().await.map(drop)
    }

    /// Checks the right to write LTMs of the class, and writes nothing: the API checks the caller before it refuses a batch
    /// without snapshots.
    pub(super) async fn may_write(&self) -> Result<(), Error> {
        let nothing: [Record; 0] = [];
        let asked = self.producer.append_all(self.key.clone(), &nothing);
        match asked.send().await {
            Err(error)
                if error.is(ProblemKind::InvalidRequest) || error.is(ProblemKind::UnknownLtm) =>
            {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    /// The state, and its cursor.
    pub(super) async fn state(&self) -> Result<Answer<StateAt>, Error> {
        self.patiently(|| self.client.state(self.key.clone(), None, None))
            .await
    }

    /// Appends the records that `make` makes of the recorder, at `cursor`. If somebody else has written meanwhile, makes
    /// them again over the new state. What does not fit into one write becomes several.
    pub(super) async fn append(
        &self,
        recorder: &mut Recorder,
        cursor: &mut Cursor,
        mut make: impl FnMut(&mut Recorder) -> Vec<Record>,
    ) -> Result<(), LogError> {
        let mark = recorder.mark();
        let error = loop {
            let records = make(recorder);
            let parts = parts(&records);
            let Some((first, rest)) = parts.split_first() else {
                return Ok(());
            };
            match self.send(first, *cursor).await {
                Ok(at) => {
                    *cursor = at;
                    match self.send_rest(rest, recorder, cursor, &mark).await {
                        Ok(()) => return self.report(&records, cursor).await,
                        Err(error) => break error,
                    }
                }
                Err(error) if error.is(ProblemKind::CursorMismatch) => {
                    let now = self.state().await?.value;
                    *cursor = now.cursor;
                    if !recorder.rebase(now.state, &mark) {
                        return Err(LogError::Taken);
                    }
                }
                Err(error) => break error.into(),
            }
        };
        // The records are not in the log, so the recorder must not have them either.
        if let Ok(now) = self.state().await {
            *cursor = now.value.cursor;
            recorder.rebase(now.value.state, &mark);
        }
        Err(error)
    }

    /// Appends what did not fit into the first write. It does not matter what others write meanwhile, unless it ends the run.
    async fn send_rest(
        &self,
        parts: &[&[Record]],
        recorder: &mut Recorder,
        cursor: &mut Cursor,
        mark: &Mark,
    ) -> Result<(), LogError> {
        let mut is_alone = true;
        for part in parts {
            *cursor = loop {
                match self.send(part, *cursor).await {
                    Err(error) if error.is(ProblemKind::CursorMismatch) => {
                        let now = self.state().await?.value;
                        if !recorder.is_in_run(&now.state, mark) {
                            return Err(LogError::Taken);
                        }
                        (*cursor, is_alone) = (now.cursor, false);
                    }
                    sent => break sent?,
                }
            };
        }
        if !is_alone {
            let (now, mark) = (self.state().await?.value, recorder.mark());
            *cursor = now.cursor;
            recorder.rebase(now.state, &mark);
        }
        Ok(())
    }

    /// Appends records, if nobody else writes after `cursor`.
    pub(super) async fn append_once(
        &self,
        records: &[Record],
        mut cursor: Cursor,
    ) -> Result<(), LogError> {
        for part in parts(records) {
            match self.send(part, cursor).await {
                Ok(at) => cursor = at,
                Err(error) if error.is(ProblemKind::CursorMismatch) => return Err(LogError::Taken),
                Err(error) => return Err(error.into()),
            }
        }
        self.report(records, &mut cursor).await
    }

    /// Appends all records in one call, and lands once however often it has to be sent.
    async fn send(&self, records: &[Record], cursor: Cursor) -> Result<Cursor, Error> {
        let key = Uuid::new_v4().to_string();
        let send = || {
            let write = self.producer.append_all(self.key.clone(), records);
            write.if_match(cursor).idempotency_key(key.clone()).send()
        };
        Ok(self.patiently(send).await?.cursor)
    }

    /// Records as errors what could not be recorded as the agent meant it. If somebody else has written, the cursor stays, so
    /// that the next write notices it.
    async fn report(&self, records: &[Record], cursor: &mut Cursor) -> Result<(), LogError> {
        for record in records {
            let Some(failure) = &record.failure else {
                continue;
            };
            let item =
                json!({"label": record.item["type"], "fqn": self.key.fqn(), "message": failure});
            let report = json!({"id": Uuid::new_v4(), "reason": REASON, "item": item});
            let record = async |at: Option<Cursor>| {
                let key = Uuid::new_v4().to_string();
                let send = || {
                    let write = self.producer.record_error(self.key.clone(), &report);
                    write.if_match(at).idempotency_key(key.clone()).send()
                };
                self.patiently(send).await
            };
            match record(Some(*cursor)).await {
                Ok(recorded) => *cursor = recorded.cursor,
                Err(error) if error.is(ProblemKind::CursorMismatch) => {
                    record(None).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Calls until the answer is not a temporary error, for `agui.write_timeout` at most.
    async fn patiently<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let began = Instant::now();
        loop {
            match call().await {
                Err(error) if error.is_temporary() && began.elapsed() < self.write_timeout => {
                    tracing::warn!(ltm = %self.key, %error, "cannot write; retrying");
                    sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Splits records into the writes that the API takes.
fn parts(records: &[Record]) -> Vec<&[Record]> {
    let (mut parts, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, record) in records.iter().enumerate() {
        let more = record.size();
        if at > from && (at - from == PART_RECORDS || bytes + more > PART_BYTES) {
            parts.push(&records[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += more;
    }
    if from < records.len() {
        parts.push(&records[from..]);
    }
    parts
}
