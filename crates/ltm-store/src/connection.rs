//! The connection to Redis.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, Pipeline,
    ProtocolVersion, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use serde::{Deserialize, Deserializer, Serialize};
use thread_local::ThreadLocal;
use tokio::sync::Mutex;

use crate::{
    error::{StoreError, is_transient},
    leader::Leader,
    metrics::RedisMetrics,
};

/// Where Redis is and how long to wait for it: the section `redis` of the settings.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://[user:password@]host:port/db`, `rediss://…` for TLS, or `redis+unix:///path?db=0`.
    ///
    /// With `sentinels` only user, password and database count: host and port are what they say.
    pub url: String,
    /// With TLS: the authorities that sign Redis's certificate, as PEM; those of the system where it is empty.
    pub tls_ca_file: PathBuf,
    /// With TLS: the certificate that is shown to Redis, as PEM; none where it is empty.
    pub tls_cert_file: PathBuf,
    /// With TLS: its key, as PEM.
    pub tls_key_file: PathBuf,
    /// The Sentinels to ask which Redis leads, as `redis://[user:password@]host:port`. Reads a list, or
    /// text with commas.
    #[serde(deserialize_with = "list_or_text")]
    pub sentinels: Vec<String>,
    /// What the Sentinels call the group of Redis servers (`sentinel monitor <name> …`).
    pub sentinel_service: String,
    /// The longest wait for an answer.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub response_timeout: Duration,
    /// The longest wait for a connection.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_timeout: Duration,
    /// A write is acknowledged once this many replicas have it.
    pub wait_replicas: u32,
    /// The longest wait for them; it must be shorter than `response_timeout`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub wait_timeout: Duration,
    /// Whether a service is ready only on a Redis that writes an append-only file.
    pub require_append_only: bool,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".into(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            sentinels: Vec::new(),
            sentinel_service: String::new(),
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            wait_replicas: 0,
            wait_timeout: Duration::from_secs(1),
            require_append_only: true,
        }
    }
}

/// A list, or text with commas.
fn list_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Spelling {
        Text(String),
        List(Vec<String>),
    }
    let list = match Spelling::deserialize(deserializer)? {
        Spelling::Text(text) => text.split(',').map(|url| url.trim().to_owned()).collect(),
        Spelling::List(list) => list,
    };
    Ok(list.into_iter().filter(|url| !url.is_empty()).collect())
}

/// A URL without its password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(not a URL)".into();
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => url.to_owned(),
    }
}

impl RedisSettings {
    /// The settings without passwords.
    pub fn shown(mut self) -> Self {
        self.url = without_password(&self.url);
        for url in &mut self.sentinels {
            *url = without_password(url);
        }
        self
    }

    /// Where Redis is, without passwords, for logs.
    pub fn shown_place(&self) -> String {
        if self.sentinels.is_empty() {
            return without_password(&self.url);
        }
        let urls: Vec<String> = self.sentinels.iter().map(|u| without_password(u)).collect();
        format!(
            "{:?} by the Sentinels {}",
            self.sentinel_service,
            urls.join(", ")
        )
    }

    /// Whether Sentinels say which Redis leads.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] where one of the two settings for that is missing.
    pub(crate) fn asks_sentinels(&self) -> Result<bool, StoreError> {
        let refused = |text: &str| Err(StoreError::Refused(text.into()));
        match (self.sentinels.is_empty(), self.sentinel_service.is_empty()) {
            (true, true) => Ok(false),
            (false, false) => Ok(true),
            (true, false) => refused(
                "redis.sentinel_service is set and redis.sentinels is not: name the Sentinels, such as redis://host:26379",
            ),
            (false, true) => refused(
                "redis.sentinels is set and redis.sentinel_service is not: give the name that `sentinel monitor` has in their files",
            ),
        }
    }

    /// Where the Sentinels are.
    pub(crate) fn sentinel_infos(&self) -> Result<Vec<ConnectionInfo>, StoreError> {
        let info = |url: &String| {
            let refused = |cause: String| {
                let shown = without_password(url);
                StoreError::Refused(format!("redis.sentinels {shown}: {cause}"))
            };
            let info = url.as_str().into_connection_info();
            let info = info.map_err(|e| refused(format!("{e}; give redis://host:26379")))?;
            match info.redis_settings().db() {
                0 => Ok(info),
                _ => Err(refused(
                    "a Sentinel has no databases; the one to use belongs into redis.url".into(),
                )),
            }
        };
        self.sentinels.iter().map(info).collect()
    }

    pub(crate) fn connection_info(&self) -> Result<ConnectionInfo, StoreError> {
        let info = self.url.as_str().into_connection_info().map_err(|e| {
            StoreError::Refused(format!("redis.url {}: {e}", without_password(&self.url)))
        })?;
        let redis = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        Ok(info
            .set_redis_settings(redis)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    }

    pub(crate) fn connection_config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
    }
}

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
    leader: Arc<Leader>,
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
    connection: MultiplexedConnection,
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
    /// [`StoreError::Refused`] where a setting cannot be used.
    pub fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(Inner {
                settings: settings.clone(),
                leader: Leader::of(settings)?,
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
        let answer = connected
            .connection
            .send_packed_command(cmd)
            .await
            .and_then(Value::extract_error);
        self.judge(&connected, sent, &answer);
        Ok(T::from_redis_value(answer?)?)
    }

    /// Sends one command that writes, and waits until as many replicas as are asked for have it.
    ///
    /// Both go in one request: WAIT is about what was written over its own connection.
    pub(crate) async fn write(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let asked = self.inner.settings.wait_replicas;
        if asked == 0 {
            return self.query(cmd).await;
        }
        let mut pipeline = redis::pipe();
        pipeline.add_command(cmd.clone());
        let wait = pipeline.cmd("WAIT").arg(asked);
        let limit = self.inner.settings.wait_timeout;
        wait.arg(limit.as_millis().max(1).to_string());
        let mut answers = self.pipeline(&pipeline, 2).await?;
        let have = answers.pop().unwrap_or(Value::Int(0));
        match have {
            Value::Int(have) if have >= i64::from(asked) => Ok(answers.pop().unwrap_or(Value::Nil)),
            have => Err(too_few(&have, asked)),
        }
    }

    /// Whether writes wait for replicas.
    pub(crate) fn waits(&self) -> bool {
        self.inner.settings.wait_replicas > 0
    }

    /// The Redis that leads.
    pub(crate) fn leader(&self) -> &Leader {
        &self.inner.leader
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
        let answers = connected
            .connection
            .req_packed_commands(pipeline, 0, count)
            .await;
        let answers: Result<Vec<Value>, RedisError> =
            answers.and_then(|all| all.into_iter().map(Value::extract_error).collect());
        self.judge(&connected, sent, &answers);
        answers
    }

    /// Lets a connection go that failed in a way that another one may not.
    fn judge<T>(&self, connected: &Connected, sent: Instant, answer: &Result<T, RedisError>) {
        match answer {
            Err(error) if is_transient(error) => {
                connected.broken.store(true, Ordering::SeqCst);
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
        let made = self.inner.leader.connect(&self.inner.config).await;
        if lane.tries.fetch_add(1, Ordering::SeqCst) > 0 {
            self.inner.metrics.reconnects();
        }
        let connected = match made {
            Ok((address, connection)) => Ok(Connected {
                address,
                connection,
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
            && !self.inner.leader.has_moved_from(&connected.address)
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

/// The error for a write that too few replicas have. It is in Redis, and a failover may lose it.
fn too_few(have: &Value, asked: u32) -> RedisError {
    let have = match have {
        Value::Int(have) => *have,
        _ => 0,
    };
    let detail = format!(
        "written, but {have} of {asked} replicas have it (redis.wait_replicas); try again with the same Idempotency-Key"
    );
    RedisError::from((redis::ErrorKind::UnexpectedReturnType, TOO_FEW, detail))
}

/// How errors about replicas begin.
pub(crate) const TOO_FEW: &str = "too few replicas";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sent_at_once() {
        let info = RedisSettings::default().connection_info().unwrap();
        assert!(info.tcp_settings().nodelay());
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://u:p@s@host:1/0", "redis://***@host:1/0"),
            ("redis://host:1/0", "redis://host:1/0"),
            ("p@ssword", "(not a URL)"),
        ] {
            let settings = RedisSettings {
                url: url.into(),
                ..RedisSettings::default()
            };
            assert_eq!(settings.shown_place(), shown);
        }
    }
}
