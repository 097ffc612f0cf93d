//! The settings of the API.

use std::time::Duration;

use bytesize::ByteSize;
use ltm_auth::AuthSettings;
use ltm_service::{
    Common, CorsSettings, HttpSettings, LogSettings, OtherSection, Program, TracingSettings,
};
pub(crate) use ltm_settings::bytes;
use ltm_settings::{SettingError, check_pause, check_wait, duration, within};
use ltm_state::{
    MAX_STATE_BYTES, Retention,
    patch::{self, Limits},
};
use ltm_store::RedisSettings;
use serde::{Deserialize, Serialize};

use crate::http::gateway_of;

/// The most snapshots in one request: Redis does nothing else while it appends them.
const MAX_BATCH: usize = 1000;
/// The most threads for large JSON.
const MAX_JSON_THREADS: usize = 256;

/// All settings of the service.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The section `redis`.
    pub redis: RedisSettings,
    /// The section `api`.
    pub api: ApiSettings,
    /// The section `retention`.
    pub retention: Retention,
    /// The section `http`.
    pub http: HttpSettings,
    /// The section `auth`.
    pub auth: AuthSettings,
    /// The section `cors`.
    pub cors: CorsSettings,
    /// The section `log`.
    pub log: LogSettings,
    /// The section `tracing`.
    pub tracing: TracingSettings,
    /// The section of the gateway, which reads it itself.
    #[serde(skip_serializing)]
    pub gateway: OtherSection,
    /// The section of the recorder of AG-UI agents, which reads it itself.
    #[serde(skip_serializing)]
    pub agui: OtherSection,
}

/// The API. All limits are per process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// The address that the API listens on: `host:port`.
    ///
    /// Set it to `0.0.0.0:8000`, and set `auth.mode`, if other machines must reach the API.
    pub listen: String,
    /// The URL of the gateway, such as `http://127.0.0.1:8001`. Empty: the gateway is at the URL of the API, because a proxy
    /// gives both one port. The inspector follows LTMs at this URL.
    ///
    /// Set it if browsers reach the gateway at another URL than the API. Unless both are on `localhost`, also add the origin
    /// of the API to `cors.origins` of the gateway.
    pub gateway_url: String,
    /// Whether the API serves the inspector at `/`.
    ///
    /// Set it to `false` if no person should look at LTMs with a browser.
    pub inspector: bool,
    /// Whether the API serves the description of its interfaces at `/docs`.
    ///
    /// Set it to `false` to hide the description.
    pub docs: bool,
    /// The largest body of a request. A larger one gets 413 `body-too-large`. It can be at most 128 MiB.
    ///
    /// Raise it if engines send larger states or changes.
    pub max_body: ByteSize,
    /// The memory for the bodies of all requests that are being handled, and for the values that are read from them. A
    /// request that does not fit gets 503 `over-limit`.
    ///
    /// Raise it if many engines send large bodies at the same time. Keep it at least as large as `api.max_body`.
    pub bodies: ByteSize,
    /// The longest time that a body may take to arrive. After that the client gets 408 `request-timeout`.
    ///
    /// Raise it if engines have slow connections and large bodies.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// The largest state, as JSON text. A change that would make a larger one gets 422 `state-too-large`. It can be at
    /// most 128 MiB.
    ///
    /// A state of many small values takes many times its text in memory. It may take six times this limit, and a patch
    /// may copy and shift as much; both may be 16 MiB in any case.
    ///
    /// Raise it if your states are larger. Every subscriber that starts with the current state receives all of it.
    pub max_state: ByteSize,
    /// The most levels of arrays and objects in a state or an item. A deeper one gets 422 `state-too-large`.
    ///
    /// Raise it if your states are deeper.
    pub max_depth: usize,
    /// The most operations in one patch. A longer one gets 422 `state-too-large`.
    ///
    /// Raise it if engines send patches with more operations.
    pub max_operations: usize,
    /// The most snapshots in one request. A batch with more gets 413 `body-too-large`. It can be at most 1000.
    ///
    /// Lower it if batches keep Redis from other commands for too long.
    pub max_batch: usize,
    /// The memory for the states of LTMs that are being written, approximately. The API drops the least recently used
    /// ones and reads them from Redis again when it needs them.
    ///
    /// Raise it if `ltm_state_cache_misses_total` grows quickly.
    pub cache: ByteSize,
    /// The memory for documents. While nothing is written to an LTM, all answers share the bytes of its document. A document
    /// over an eighth of this is read from Redis for each answer. So are all documents if it is `0B`, and further ones while
    /// slow clients hold this much.
    ///
    /// Raise it if many people open large LTMs and `ltm_document_cache_misses_total` grows quickly.
    pub document_cache: ByteSize,
    /// The memory for large texts in answers that are being sent: states, entries and errors of 32 KiB and more. Answers
    /// with the same text share it. Beyond it a read gets 503 `over-limit`, or its answer breaks off if it has begun, and a
    /// write's answer is without its entry.
    ///
    /// Raise it if many slow clients read different large states.
    pub answers: ByteSize,
    /// The number of entries after which the API stores a checkpoint of a state; for a large state, one entry for each
    /// KiB of it if that is more. It also stores one as soon as the entries since the last one are as large as the
    /// state.
    ///
    /// Lower it to make the first read of an LTM faster. Raise it to write less to Redis.
    pub checkpoint_every: usize,
    /// The most reads of logs that run at once for documents, histories and earlier states. Further ones wait.
    ///
    /// Raise it if reads wait while Redis and the processor are idle. Each read holds one entry or about 128 KiB.
    pub max_reads: usize,
    /// The number of threads that handle large JSON, from 64 KiB: they parse it, compare states and apply patches. `0`
    /// takes one thread fewer than the machine has cores, and at least one.
    ///
    /// Raise it if large requests wait while cores are idle. Other requests then share fewer cores.
    pub json_threads: usize,
    /// The longest time that a large request waits for such a thread. After that it gets 503 `over-limit`.
    ///
    /// Raise it if many engines send large bodies at the same time.
    #[serde(with = "duration")]
    pub json_wait: Duration,
    /// The longest time that a request waits for other requests that write to the same LTM. After that it gets 503
    /// `busy`.
    ///
    /// Raise it if many engines write large states to one LTM.
    #[serde(with = "duration")]
    pub lock_wait: Duration,
    /// The most requests that wait for an LTM at the same time. A further one gets 503 `over-limit`.
    ///
    /// Raise it if more scripts or services wait. All requests that wait for the same LTM share one look at Redis.
    pub max_waits: usize,
    /// The longest time that one request waits for an LTM. After that it gets 204, and asks again.
    ///
    /// Raise it if clients should ask less often. Keep it below the time for which a proxy lets an answer take, which is
    /// often 60 s.
    #[serde(with = "duration")]
    pub max_wait: Duration,
    /// The time between two looks at an LTM that requests wait for.
    ///
    /// Lower it if they must learn of a change sooner. Raise it if the looks put load on Redis.
    #[serde(with = "duration")]
    pub wait_interval: Duration,
    /// The time for which a ticket for a WebSocket is valid.
    ///
    /// Raise it if pages need longer to connect. A ticket can be used only once.
    #[serde(with = "duration")]
    pub ticket_ttl: Duration,
    /// The time between two searches for entries and LTMs that `retention` removes.
    ///
    /// Lower it if they must go sooner. Raise it if the search puts load on Redis.
    #[serde(with = "duration")]
    pub retention_interval: Duration,
    /// The time between two looks at the index of the lists: the API then also counts the LTMs for its metrics.
    ///
    /// Lower it if `ltm_ltms` must be newer. Raise it if the looks put load on Redis.
    #[serde(with = "duration")]
    pub list_interval: Duration,
    /// The time between two checks of the whole index of the lists. A check corrects what an API of an older version, or
    /// somebody by hand, has changed beside the index.
    ///
    /// Lower it while APIs of two versions run. Raise it if the check puts load on Redis: it reads every LTM.
    #[serde(with = "duration")]
    pub list_check_interval: Duration,
    /// The longest time that the API lets open requests finish when it stops.
    ///
    /// Raise it if requests take longer. Kubernetes or systemd must wait longer than this before they kill the process.
    #[serde(with = "duration")]
    pub drain_time: Duration,
    /// The longest time that a client may accept no byte of a response. After that the API closes the connection.
    ///
    /// Lower it if clients that stall hold too many connections.
    #[serde(with = "duration")]
    pub write_stall: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".into(),
            gateway_url: String::new(),
            inspector: true,
            docs: true,
            max_body: ByteSize::mib(8),
            bodies: ByteSize::mib(256),
            body_timeout: Duration::from_secs(30),
            max_state: ByteSize::mib(16),
            max_depth: patch::DEFAULT_DEPTH,
            max_operations: patch::DEFAULT_OPERATIONS,
            max_batch: MAX_BATCH,
            cache: ByteSize::mib(256),
            document_cache: ByteSize::mib(64),
            answers: ByteSize::mib(256),
            checkpoint_every: 1000,
            max_reads: 8,
            json_threads: 0,
            json_wait: Duration::from_secs(10),
            lock_wait: Duration::from_secs(10),
            max_waits: 1000,
            max_wait: Duration::from_secs(50),
            wait_interval: Duration::from_millis(250),
            ticket_ttl: Duration::from_secs(30),
            retention_interval: Duration::from_secs(60),
            list_interval: Duration::from_secs(5),
            list_check_interval: Duration::from_secs(3600),
            drain_time: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
        }
    }
}

impl ApiSettings {
    /// Rejects values that the service cannot run with.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        let most = ByteSize::b(MAX_STATE_BYTES as u64);
        gateway_of(&self.gateway_url)?;
        within("api.max_body", self.max_body, ByteSize::b(0)..=most)?;
        within("api.max_state", self.max_state, ByteSize::b(0)..=most)?;
        within("api.max_depth", self.max_depth, 1..=patch::MAX_DEPTH)?;
        within("api.max_batch", self.max_batch, 1..=MAX_BATCH)?;
        check_wait("api.body_timeout", self.body_timeout)?;
        within("api.max_reads", self.max_reads, 1..=usize::MAX)?;
        within("api.json_threads", self.json_threads, 0..=MAX_JSON_THREADS)?;
        check_wait("api.json_wait", self.json_wait)?;
        check_wait("api.lock_wait", self.lock_wait)?;
        check_wait("api.max_wait", self.max_wait)?;
        check_pause("api.wait_interval", self.wait_interval)?;
        check_pause("api.ticket_ttl", self.ticket_ttl)?;
        check_pause("api.retention_interval", self.retention_interval)?;
        check_pause("api.list_interval", self.list_interval)?;
        check_pause("api.list_check_interval", self.list_check_interval)?;
        check_wait("api.drain_time", self.drain_time)?;
        check_wait("api.write_stall", self.write_stall)
    }

    /// What a patch and its result may be.
    pub fn limits(&self) -> Limits {
        let max_bytes = bytes(self.max_state);
        Limits::of_state(max_bytes, self.max_depth, self.max_operations)
    }
}

impl Program for Settings {
    const NAME: &'static str = "ltm-api";

    fn common(&self) -> Common<'_> {
        Common {
            redis: &self.redis,
            http: &self.http,
            auth: &self.auth,
            log: &self.log,
            tracing: &self.tracing,
        }
    }

    fn listen(&self) -> &str {
        &self.api.listen
    }

    fn check(&self) -> Result<(), SettingError> {
        self.api.check()
    }
}
