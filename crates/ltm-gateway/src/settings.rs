//! The settings of the service.

use std::time::Duration;

use bytesize::ByteSize;
use ltm_auth::AuthSettings;
use ltm_service::{
    Common, CorsSettings, HttpSettings, LogSettings, OtherSection, Program, TracingSettings,
};
pub(crate) use ltm_settings::bytes;
use ltm_settings::{SettingError, check_pause, check_wait, duration, within};
use ltm_store::RedisSettings;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// The largest frame that may be allowed; the memory for one is the client's to fill.
const LARGEST_FRAME: ByteSize = ByteSize::gib(1);

/// All settings of the service.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where Redis is.
    pub redis: RedisSettings,
    /// What this service does.
    pub gateway: GatewaySettings,
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
    /// The API's section is read by the API.
    #[serde(skip_serializing)]
    pub api: OtherSection,
    /// So is this one.
    #[serde(skip_serializing)]
    pub retention: OtherSection,
}

/// The section `gateway`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Where it listens.
    pub listen: String,
    /// For how long it only says that it is not ready when it stops, and works on: a load balancer
    /// must have seen it before the first subscriber is told to connect elsewhere.
    #[serde(with = "duration")]
    pub drain_notice: Duration,
    /// Over how long the closes are spread after that.
    #[serde(with = "duration")]
    pub drain_time: Duration,
    /// How often a subscriber is pinged; it is dropped when nothing came from it for two of these.
    #[serde(with = "duration")]
    pub ping_interval: Duration,
    /// After how long a subscriber whose socket takes no byte is dropped.
    #[serde(with = "duration")]
    pub write_stall: Duration,
    /// How often every followed log is compared with Redis.
    #[serde(with = "duration")]
    pub sweep_interval: Duration,
    /// How long an LTM is followed after its last subscriber has left.
    #[serde(with = "duration")]
    pub linger: Duration,
    /// How often a list of LTMs that is followed is read; less often where reading takes long.
    #[serde(with = "duration")]
    pub list_interval: Duration,
    /// The most lists of LTMs that are followed at once.
    pub max_lists: usize,
    /// The most subscribers at once.
    pub max_subscribers: usize,
    /// The most subscribers of one LTM at once.
    pub max_subscribers_per_ltm: usize,
    /// The most LTMs that are followed at once.
    pub max_followed: usize,
    /// The largest frame that a client may send.
    pub max_frame: ByteSize,
    /// The largest text that a client may send.
    pub max_message: ByteSize,
    /// The most messages that a client may send in ten seconds.
    pub max_messages: u32,
    /// The most LTMs that one socket may follow.
    pub max_follows: u32,
    /// How much is sent to one subscriber at once, and may wait in memory where its socket takes nothing;
    /// a message that is larger goes, and waits, whole.
    pub queue: ByteSize,
    /// What may wait in memory of each thread between Redis and its subscribers; beyond that the logs are
    /// read.
    pub live_queue: ByteSize,
    /// The latest entries of each followed LTM that are kept in memory by each thread that follows it.
    pub window: ByteSize,
    /// What one read of a log brings, about.
    pub page: ByteSize,
    /// What the reads that subscribers share may take in memory.
    pub cache: ByteSize,
    /// The most reads of logs at once.
    pub max_reads: usize,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".into(),
            drain_notice: Duration::from_secs(3),
            drain_time: Duration::from_secs(20),
            ping_interval: Duration::from_secs(20),
            write_stall: Duration::from_secs(30),
            sweep_interval: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            list_interval: Duration::from_millis(500),
            max_lists: 64,
            max_subscribers: 10_000,
            max_subscribers_per_ltm: 10_000,
            max_followed: 10_000,
            max_frame: ByteSize::kib(64),
            max_message: ByteSize::kib(8),
            max_messages: 32,
            max_follows: 256,
            queue: ByteSize::kib(32),
            live_queue: ByteSize::mib(32),
            window: ByteSize::kib(64),
            page: ByteSize::kib(64),
            cache: ByteSize::mib(64),
            max_reads: 32,
        }
    }
}

impl GatewaySettings {
    /// Refuses values that the service could not run with.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        check_wait("gateway.drain_notice", self.drain_notice)?;
        check_wait("gateway.drain_time", self.drain_time)?;
        check_pause("gateway.ping_interval", self.ping_interval)?;
        check_wait("gateway.write_stall", self.write_stall)?;
        check_wait("gateway.sweep_interval", self.sweep_interval)?;
        check_wait("gateway.linger", self.linger)?;
        check_pause("gateway.list_interval", self.list_interval)?;
        let seats = 0..=Semaphore::MAX_PERMITS;
        within("gateway.max_subscribers", self.max_subscribers, seats)?;
        let frames = ByteSize::b(0)..=LARGEST_FRAME;
        within("gateway.max_frame", self.max_frame, frames)?;
        let reads = 1..=Semaphore::MAX_PERMITS;
        within("gateway.max_reads", self.max_reads, reads)
    }
}

impl Program for Settings {
    const NAME: &'static str = "ltm-gateway";

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
        &self.gateway.listen
    }

    fn check(&self) -> Result<(), SettingError> {
        self.gateway.check()
    }
}
