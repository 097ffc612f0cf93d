//! The client of Redis: one connection per thread, made when it is needed and again after a failure.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use ltm_types::{LtmId, keys};
use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisError, Value, cluster::NodeAddress,
    cluster_routing::SingleNodeRoutingInfo,
};
use thread_local::ThreadLocal;
use tokio::sync::Mutex;

use crate::{
    error::{RedisWriteError, StoreError, is_transient},
    redis::cluster::{self, KnownTopology, Topology},
    redis::connection::{self, Answer, RedisConnection},
    redis::metrics::RedisMetrics,
    redis::primary::Primary,
    redis::reads::{are_reads, is_read},
    redis::settings::RedisSettings,
    spawner::Spawner,
};

/// The pauses before each further try to reach Redis: from 50 ms up to 2 s, without end. They are random, so that
/// clients that fail together do not retry together.
pub fn reconnect_pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}

/// A client of Redis. It connects when it is needed, and again after a failure.
///
/// Clones share the connections. Each thread that sends commands has its own connection. So the task that sends and
/// the task that reads the answer run on one thread, and do not wake another thread.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    settings: RedisSettings,
    /// The number of the database.
    database: i64,
    primary: Arc<Primary>,
    spawner: Spawner,
    config: AsyncConnectionConfig,
    connections: ThreadLocal<ThreadConnection>,
    /// Which primary of the cluster has which slot.
    topology: KnownTopology,
    metrics: RedisMetrics,
}

/// The connection of one thread.
#[derive(Default)]
struct ThreadConnection {
    /// The number of attempts to connect. Tasks that wait for the same attempt share its outcome.
    attempts: AtomicU64,
    last: Mutex<LastAttempt>,
}

/// The outcome of the last attempt to connect.
enum LastAttempt {
    Connected(SharedConnection),
    Failed(String),
}

/// A connection. Clones share it, and the mark that it is broken.
#[derive(Clone)]
struct SharedConnection {
    address: Arc<str>,
    connection: RedisConnection,
    broken: Arc<AtomicBool>,
}

impl SharedConnection {
    /// Whether an error of a command means that the other side has closed the connection, and a new one may be better.
    fn is_closed(&self, error: &RedisError) -> bool {
        error.is_connection_dropped() && !self.connection.reconnects()
    }
}

impl Default for LastAttempt {
    fn default() -> Self {
        Self::Failed("not connected yet".into())
    }
}

impl Redis {
    /// A client with these settings. Sends nothing yet. With Sentinels it must be called within a runtime.
    ///
    /// # Errors
    ///
    /// [`StoreError::Setting`] if a setting cannot be used.
    pub fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        Self::open_with(settings, Spawner::default())
    }

    /// As [`Redis::open`]. `spawner` starts the background tasks of the client, and of everything that uses it.
    ///
    /// # Errors
    ///
    /// As [`Redis::open`].
    pub fn open_with(settings: &RedisSettings, spawner: Spawner) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(Inner {
                settings: settings.clone(),
                database: settings.connection_info()?.redis_settings().db(),
                primary: Primary::new(settings, &spawner)?,
                spawner,
                config: settings.connection_config(),
                connections: ThreadLocal::new(),
                topology: KnownTopology::default(),
                metrics: RedisMetrics::new(),
            }),
        })
    }

    /// The settings of the client.
    pub(crate) fn settings(&self) -> &RedisSettings {
        &self.inner.settings
    }

    /// The address of Redis, without secrets.
    pub fn shown_address(&self) -> String {
        self.inner.settings.shown_address()
    }

    /// The address of Redis, without secrets, and the number of the database.
    pub fn shown_database(&self) -> String {
        format!("database {} of {}", self.database(), self.shown_address())
    }

    /// Starts background tasks.
    pub fn spawner(&self) -> &Spawner {
        &self.inner.spawner
    }

    /// The metrics of the client.
    pub fn metrics(&self) -> &RedisMetrics {
        &self.inner.metrics
    }

    /// Sends PING.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if Redis does not answer in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.query::<Value>(&redis::cmd("PING")).await?;
        Ok(())
    }

    /// Sends one command. If Redis has closed the connection, a read is sent again over a new one: a caller need not
    /// learn that Redis was restarted since the last command.
    pub(crate) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisError> {
        let answer = match is_read(cmd) {
            true => self.read(cmd).await?,
            false => self.send(self.connect().await?, cmd).await?,
        };
        Ok(T::from_redis_value(answer)?)
    }

    /// As [`Redis::query`], for a command that is known to read only: a call of a script.
    pub(crate) async fn read(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let shared = self.connect().await?;
        match self.send(shared.clone(), cmd).await {
            Err(error) if shared.is_closed(&error) => self.send(self.connect().await?, cmd).await,
            answer => answer,
        }
    }

    async fn send(&self, mut shared: SharedConnection, cmd: &Cmd) -> Result<Value, RedisError> {
        let sent = Instant::now();
        let answer = shared.connection.send(cmd).await;
        let answer = answer.and_then(Value::extract_error);
        self.record(&shared, sent, &answer);
        answer
    }

    /// Whether Redis is a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.inner.settings.is_cluster()
    }

    /// The slots of each primary of the cluster, as one of the nodes reports them.
    pub(crate) async fn topology(&self) -> Result<Topology, RedisError> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let random = SingleNodeRoutingInfo::Random;
        let answer = self.query_routed(random, &slots).await?;
        Topology::read(&answer).map_err(cluster::unreadable)
    }

    /// Which primary has which slot. A task that asks the cluster again and again keeps it.
    pub(crate) fn known_topology(&self) -> &KnownTopology {
        &self.inner.topology
    }

    /// The servers that accept writes. `None` is the only server, if Redis is not a cluster.
    pub(crate) async fn primaries(&self) -> Result<Vec<Option<NodeAddress>>, RedisError> {
        if !self.is_cluster() {
            return Ok(vec![None]);
        }
        let topology = self.topology().await?;
        Ok(topology.primaries().iter().cloned().map(Some).collect())
    }

    /// Sends one command to one of the primaries.
    pub(crate) async fn query_on<T: FromRedisValue>(
        &self,
        primary: Option<&NodeAddress>,
        cmd: &Cmd,
    ) -> Result<T, RedisError> {
        let Some(node) = primary else {
            return self.query(cmd).await;
        };
        let answer = self.query_routed(cluster::route_to(node), cmd).await?;
        Ok(T::from_redis_value(answer)?)
    }

    /// Sends several commands at once to one of the primaries.
    pub(crate) async fn pipeline_on(
        &self,
        primary: Option<&NodeAddress>,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let Some(node) = primary else {
            return self.pipeline(pipeline, count).await;
        };
        let mut shared = self.connect().await?;
        let sent = Instant::now();
        let node = cluster::route_to(node);
        let answers = shared.connection.send_all_to(node, pipeline, count).await;
        let answers = answers.and_then(|it| it.into_iter().collect());
        self.record(&shared, sent, &answers);
        answers
    }

    /// Sends one command to the server that executes `other`.
    pub(crate) async fn query_beside(&self, other: &Cmd, cmd: &Cmd) -> Result<Value, RedisError> {
        self.query_routed(connection::route_of(other), cmd).await
    }

    async fn query_routed(
        &self,
        node: SingleNodeRoutingInfo,
        cmd: &Cmd,
    ) -> Result<Value, RedisError> {
        let mut shared = self.connect().await?;
        let sent = Instant::now();
        let answer = shared.connection.send_to(node, cmd).await;
        let answer = answer.and_then(Value::extract_error);
        self.record(&shared, sent, &answer);
        answer
    }

    /// The command that publishes an entry. In a cluster, the server that has the LTM's keys publishes it.
    pub(crate) fn publish_command(&self) -> &'static str {
        if self.is_cluster() {
            "SPUBLISH"
        } else {
            "PUBLISH"
        }
    }

    /// The number of the database.
    pub(crate) fn database(&self) -> i64 {
        self.inner.database
    }

    /// The channel on which the entries of an LTM are published.
    pub(crate) fn live_channel(&self, id: LtmId) -> String {
        keys::live(self.database(), id)
    }

    /// Sends one command that writes, and waits until `redis.wait_replicas` replicas have the write.
    ///
    /// Both commands go in one pipeline, because WAIT counts only writes of its own connection.
    pub(crate) async fn write(&self, cmd: &Cmd) -> Result<Value, RedisWriteError> {
        let asked = self.inner.settings.wait_replicas;
        if asked == 0 {
            return Ok(self.query(cmd).await?);
        }
        let mut pipeline = redis::pipe();
        pipeline.add_command(cmd.clone());
        let wait = pipeline.cmd("WAIT").arg(asked);
        let limit = self.inner.settings.wait_timeout;
        wait.arg(limit.as_millis().max(1).to_string());
        let mut answers = self.pipeline(&pipeline, 2).await?;
        let have = match answers.pop() {
            Some(Value::Int(have)) => have,
            _ => 0,
        };
        if have < i64::from(asked) {
            return Err(RedisWriteError::TooFewReplicas { have, asked });
        }
        Ok(answers.pop().unwrap_or(Value::Nil))
    }

    /// As [`Redis::write`], for a key that belongs to no LTM. The request writes to an LTM after that, and waits for
    /// the replicas of its primary. In a cluster, another primary can have this key.
    pub(crate) async fn write_aside(&self, cmd: &Cmd) -> Result<Value, RedisWriteError> {
        if self.is_cluster() {
            self.write(cmd).await
        } else {
            Ok(self.query(cmd).await?)
        }
    }

    /// Whether writes wait for replicas.
    pub(crate) fn waits_for_replicas(&self) -> bool {
        self.inner.settings.wait_replicas > 0
    }

    /// The primary.
    pub(crate) fn primary(&self) -> &Primary {
        &self.inner.primary
    }

    /// Sends several commands at once. The answers are in the order of the commands.
    pub(crate) async fn pipeline(
        &self,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let answers = self.pipeline_each(pipeline, count).await?;
        answers.into_iter().collect()
    }

    /// As [`Redis::pipeline`], with an outcome for each command. In a cluster, a server that is down fails only its own
    /// commands. Reads are sent again as by [`Redis::query`].
    pub(crate) async fn pipeline_each(
        &self,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Answer>, RedisError> {
        let shared = self.connect().await?;
        match self.send_all(shared.clone(), pipeline, count).await {
            Err(error) if shared.is_closed(&error) && are_reads(pipeline) => {
                let shared = self.connect().await?;
                self.send_all(shared, pipeline, count).await
            }
            answers => answers,
        }
    }

    async fn send_all(
        &self,
        mut shared: SharedConnection,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Answer>, RedisError> {
        let sent = Instant::now();
        let connection = &mut shared.connection;
        // The client of the cluster learns first that a slot has moved, so it decides where a write goes.
        let is_read = are_reads(pipeline);
        let known = self.inner.topology.get().filter(|_| is_read);
        let mut answers = connection.send_all(pipeline, count, known.as_deref()).await;
        if let (true, Ok(answers)) = (is_read, &mut answers) {
            let mut errors = answers.iter().filter_map(|it| it.as_ref().err());
            if errors.any(is_transient) {
                if known.is_some() {
                    self.inner.topology.doubt();
                }
                connection.send_moved(pipeline, answers).await;
            }
        }
        let failed = |answers: &Vec<Answer>| {
            let mut errors = answers.iter().filter_map(|it| it.as_ref().err());
            errors.find(|error| is_transient(error)).cloned()
        };
        match answers.as_ref().map(failed) {
            Ok(None) => self.record(&shared, sent, &Ok(())),
            Ok(Some(error)) => self.record::<()>(&shared, sent, &Err(error)),
            Err(error) => self.record::<()>(&shared, sent, &Err(error.clone())),
        }
        answers
    }

    /// Records the outcome in the metrics. Marks a connection as broken if another connection may succeed.
    fn record<T>(&self, shared: &SharedConnection, sent: Instant, answer: &Result<T, RedisError>) {
        match answer {
            Err(error) if is_transient(error) => {
                if !shared.connection.reconnects() {
                    shared.broken.store(true, Ordering::SeqCst);
                }
                self.inner.metrics.failed();
            }
            _ => self.inner.metrics.answered(sent.elapsed()),
        }
    }

    /// The connection of this thread. Connects if there is none, or if it is broken.
    async fn connect(&self) -> Result<SharedConnection, RedisError> {
        let thread = self.inner.connections.get_or_default();
        let attempts = thread.attempts.load(Ordering::SeqCst);
        let mut last = thread.last.lock().await;
        match &*last {
            LastAttempt::Connected(shared) if self.is_usable(shared) => {
                return Ok(shared.clone());
            }
            // Another task of this thread has tried while this one waited.
            LastAttempt::Failed(cause) if thread.attempts.load(Ordering::SeqCst) != attempts => {
                let error = std::io::Error::new(std::io::ErrorKind::NotConnected, cause.clone());
                return Err(error.into());
            }
            _ => {}
        }
        let connected = self.inner.primary.connect(&self.inner.config).await;
        if thread.attempts.fetch_add(1, Ordering::SeqCst) > 0 {
            self.inner.metrics.reconnects();
        }
        let shared = match connected {
            Ok((address, connection)) => Ok(SharedConnection {
                address,
                connection,
                broken: Arc::default(),
            }),
            Err(error) => self.of_another_thread().ok_or(error),
        };
        *last = match &shared {
            Ok(shared) => LastAttempt::Connected(shared.clone()),
            Err(error) => LastAttempt::Failed(error.to_string()),
        };
        shared
    }

    fn is_usable(&self, shared: &SharedConnection) -> bool {
        !shared.broken.load(Ordering::SeqCst) && !self.inner.primary.has_moved_from(&shared.address)
    }

    /// The connection of another thread, for a thread that cannot connect. If no Sentinel answers, the existing
    /// connections still work.
    fn of_another_thread(&self) -> Option<SharedConnection> {
        let usable = |thread: &ThreadConnection| match &*thread.last.try_lock().ok()? {
            LastAttempt::Connected(shared) if self.is_usable(shared) => Some(shared.clone()),
            _ => None,
        };
        self.inner.connections.iter().find_map(usable)
    }
}
