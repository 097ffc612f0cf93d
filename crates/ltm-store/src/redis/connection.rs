//! The connection to Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisError, Value, cluster::NodeAddress,
    cluster_routing::SingleNodeRoutingInfo,
};
use thread_local::ThreadLocal;
use tokio::sync::Mutex;

use crate::{
    error::{RedisWriteError, StoreError, is_transient},
    redis::cluster::{self, Topology},
    redis::metrics::RedisMetrics,
    redis::primary::Primary,
    redis::settings::RedisSettings,
    redis::transport::{self, Transport},
    spawner::Spawner,
};

/// How long to wait before each further try to reach Redis: from 50 ms to some seconds, without end,
/// and never the same for two that begin together.
pub fn reconnect_pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}

/// A handle to Redis that connects when it is needed, and again after a failure. Clones share the
/// connections, one for each thread that sends something: who asks and who carries the answer are on
/// one thread then, and need not wake each other.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    settings: RedisSettings,
    primary: Arc<Primary>,
    spawner: Spawner,
    config: AsyncConnectionConfig,
    lanes: ThreadLocal<Lane>,
    metrics: RedisMetrics,
}

/// The connection of one thread.
#[derive(Default)]
struct Lane {
    /// How many times a connection was tried for; those who waited for the same try share its outcome.
    tries: AtomicU64,
    current: Mutex<Current>,
}

/// What the last try for a connection came to.
enum Current {
    Connected(Connected),
    Failed(String),
}

/// A connection. Clones share it, and whether it is broken.
#[derive(Clone)]
struct Connected {
    address: Arc<str>,
    transport: Transport,
    broken: Arc<AtomicBool>,
}

impl Default for Current {
    fn default() -> Self {
        Self::Failed("not connected yet".into())
    }
}

impl Redis {
    /// A handle for these settings. Nothing is sent yet. With Sentinels it belongs into a runtime.
    ///
    /// # Errors
    ///
    /// [`StoreError::Setting`] if a setting cannot be used.
    pub fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        Self::open_with(settings, Spawner::default())
    }

    /// As [`Redis::open`], with `spawner` for all background tasks of the handle and of what is built on it.
    ///
    /// # Errors
    ///
    /// As [`Redis::open`].
    pub fn open_with(settings: &RedisSettings, spawner: Spawner) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(Inner {
                settings: settings.clone(),
                primary: Primary::of(settings, &spawner)?,
                spawner,
                config: settings.connection_config(),
                lanes: ThreadLocal::new(),
                metrics: RedisMetrics::new(),
            }),
        })
    }

    /// What it was opened with.
    pub(crate) fn settings(&self) -> &RedisSettings {
        &self.inner.settings
    }

    /// Starts background tasks.
    pub fn spawner(&self) -> &Spawner {
        &self.inner.spawner
    }

    /// What the connections measure.
    pub fn metrics(&self) -> &RedisMetrics {
        &self.inner.metrics
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where none comes in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.query::<Value>(&redis::cmd("PING")).await?;
        Ok(())
    }

    /// Sends one command.
    pub(crate) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisError> {
        let lane = self.inner.lanes.get_or_default();
        let mut connected = self.connected(lane).await?;
        let sent = Instant::now();
        let answer = connected.transport.send(cmd).await;
        let answer = answer.and_then(Value::extract_error);
        self.judge(&connected, sent, &answer);
        Ok(T::from_redis_value(answer?)?)
    }

    /// Whether it is a Redis Cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.inner.settings.is_cluster()
    }

    /// Which primary of the cluster has which keys, as one of the nodes sees it.
    pub(crate) async fn topology(&self) -> Result<Topology, RedisError> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let answer = self.query_at(SingleNodeRoutingInfo::Random, &slots).await?;
        Topology::read(&answer).map_err(cluster::unreadable)
    }

    /// The servers that take writes; `None` stands for the only one.
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
        match primary {
            None => self.query(cmd).await,
            Some(node) => Ok(T::from_redis_value(
                self.query_at(cluster::at(node), cmd).await?,
            )?),
        }
    }

    /// Sends one command to the server that another one is for.
    pub(crate) async fn query_beside(&self, other: &Cmd, cmd: &Cmd) -> Result<Value, RedisError> {
        self.query_at(transport::place_of(other), cmd).await
    }

    async fn query_at(&self, node: SingleNodeRoutingInfo, cmd: &Cmd) -> Result<Value, RedisError> {
        let lane = self.inner.lanes.get_or_default();
        let mut connected = self.connected(lane).await?;
        let sent = Instant::now();
        let answer = connected.transport.send_to(node, cmd).await;
        let answer = answer.and_then(Value::extract_error);
        self.judge(&connected, sent, &answer);
        answer
    }

    /// How an entry is published: in a cluster, where its LTM's keys are.
    pub(crate) fn publish_command(&self) -> &'static str {
        if self.is_cluster() {
            "SPUBLISH"
        } else {
            "PUBLISH"
        }
    }

    /// Sends one command that writes, and waits until as many replicas as are asked for have it.
    ///
    /// Both go in one request: WAIT is about what was written over its own connection.
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

    /// Whether writes wait for replicas.
    pub(crate) fn waits_for_replicas(&self) -> bool {
        self.inner.settings.wait_replicas > 0
    }

    /// The Redis that leads.
    pub(crate) fn primary(&self) -> &Primary {
        &self.inner.primary
    }

    /// Sends several commands in one go; the answers come in their order.
    pub(crate) async fn pipeline(
        &self,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let lane = self.inner.lanes.get_or_default();
        let mut connected = self.connected(lane).await?;
        let sent = Instant::now();
        let answers = connected.transport.send_all(pipeline, count).await;
        let answers: Result<Vec<Value>, RedisError> =
            answers.and_then(|all| all.into_iter().map(Value::extract_error).collect());
        self.judge(&connected, sent, &answers);
        answers
    }

    /// Lets a connection go that failed in a way that another one may not.
    fn judge<T>(&self, connected: &Connected, sent: Instant, answer: &Result<T, RedisError>) {
        match answer {
            Err(error) if is_transient(error) => {
                if !connected.transport.heals() {
                    connected.broken.store(true, Ordering::SeqCst);
                }
                self.inner.metrics.failed();
            }
            _ => self.inner.metrics.answered(sent.elapsed()),
        }
    }

    /// The connection of this lane, made where there is none.
    async fn connected(&self, lane: &Lane) -> Result<Connected, RedisError> {
        let seen = lane.tries.load(Ordering::SeqCst);
        let mut current = lane.current.lock().await;
        match &*current {
            Current::Connected(connected) if self.is_usable(connected) => {
                return Ok(connected.clone());
            }
            Current::Failed(cause) if lane.tries.load(Ordering::SeqCst) != seen => {
                let error = std::io::Error::new(std::io::ErrorKind::NotConnected, cause.clone());
                return Err(error.into());
            }
            _ => {}
        }
        let made = self.inner.primary.transport(&self.inner.config).await;
        if lane.tries.fetch_add(1, Ordering::SeqCst) > 0 {
            self.inner.metrics.reconnects();
        }
        let connected = match made {
            Ok((address, transport)) => Ok(Connected {
                address,
                transport,
                broken: Arc::default(),
            }),
            Err(error) => self.of_another_thread().ok_or(error),
        };
        *current = match &connected {
            Ok(connected) => Current::Connected(connected.clone()),
            Err(error) => Current::Failed(error.to_string()),
        };
        connected
    }

    fn is_usable(&self, connected: &Connected) -> bool {
        !connected.broken.load(Ordering::SeqCst)
            && !self.inner.primary.has_moved_from(&connected.address)
    }

    /// The connection of another thread, for one that cannot make its own: where no Sentinel answers,
    /// what is connected goes on.
    fn of_another_thread(&self) -> Option<Connected> {
        let connected = |lane: &Lane| match &*lane.current.try_lock().ok()? {
            Current::Connected(connected) if self.is_usable(connected) => Some(connected.clone()),
            _ => None,
        };
        self.inner.lanes.iter().find_map(connected)
    }
}
