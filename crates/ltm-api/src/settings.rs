//! The settings of the service.

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

/// All settings of the service.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where Redis is.
    pub redis: RedisSettings,
    /// What this service does.
    pub api: ApiSettings,
    /// What is kept of each LTM.
    pub retention: Retention,
    /// Whom it lets in.
    pub http: HttpSettings,
    /// Who may use it.
    pub auth: AuthSettings,
    /// Which pages may use it.
    pub cors: CorsSettings,
    /// How it logs.
    pub log: LogSettings,
    /// Where traces go.
    pub tracing: TracingSettings,
    /// The gateway's section is read by the gateway.
    #[serde(skip_serializing)]
    pub gateway: OtherSection,
}

/// The section `api`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// Where it listens.
    pub listen: String,
    /// Whether the inspector is served at `/`.
    pub inspector: bool,
    /// Whether the descriptions of the interfaces are served, at `/docs`.
    pub docs: bool,
    /// The largest body of a request.
    pub max_body: ByteSize,
    /// What the bodies of all requests under way may take in memory.
    pub bodies: ByteSize,
    /// How long a body may take to arrive.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// The largest state, as JSON text.
    pub max_state: ByteSize,
    /// The most levels of arrays and objects in a state or an item.
    pub max_depth: usize,
    /// The most operations in a patch.
    pub max_operations: usize,
    /// What the states that are held in memory may take in all, about.
    pub cache: ByteSize,
    /// A checkpoint is written after this many entries, or one for each KiB of the state where those
    /// are more, and as soon as the entries weigh as much as the state.
    pub checkpoint_every: usize,
    /// How long a request waits for others that write to the same LTM.
    #[serde(with = "duration")]
    pub lock_wait: Duration,
    /// How long a ticket for a WebSocket can be shown.
    #[serde(with = "duration")]
    pub ticket_ttl: Duration,
    /// How often it is looked for what retention removes.
    #[serde(with = "duration")]
    pub retention_interval: Duration,
    /// How long open requests may go on once the service stops.
    #[serde(with = "duration")]
    pub drain_time: Duration,
    /// After how long a peer that takes no byte is cut off.
    #[serde(with = "duration")]
    pub write_stall: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".into(),
            inspector: true,
            docs: true,
            max_body: ByteSize::mib(8),
            bodies: ByteSize::mib(256),
            body_timeout: Duration::from_secs(30),
            max_state: ByteSize::mib(16),
            max_depth: 256,
            max_operations: 10_000,
            cache: ByteSize::mib(256),
            checkpoint_every: 1000,
            lock_wait: Duration::from_secs(10),
            ticket_ttl: Duration::from_secs(30),
            retention_interval: Duration::from_secs(60),
            drain_time: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
        }
    }
}

impl ApiSettings {
    /// Refuses values that the service could not run with.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        let most = ByteSize::b(MAX_STATE_BYTES as u64);
        within("api.max_body", self.max_body, ByteSize::b(0)..=most)?;
        within("api.max_state", self.max_state, ByteSize::b(0)..=most)?;
        within("api.max_depth", self.max_depth, 1..=patch::MAX_DEPTH)?;
        check_wait("api.body_timeout", self.body_timeout)?;
        check_wait("api.lock_wait", self.lock_wait)?;
        check_pause("api.ticket_ttl", self.ticket_ttl)?;
        check_pause("api.retention_interval", self.retention_interval)?;
        check_wait("api.drain_time", self.drain_time)?;
        check_wait("api.write_stall", self.write_stall)
    }

    /// What a patch and its result may be.
    pub fn limits(&self) -> Limits {
        Limits {
            max_bytes: bytes(self.max_state),
            max_depth: self.max_depth,
            max_operations: self.max_operations,
        }
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
