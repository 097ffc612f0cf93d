//! The settings of the gateway.

use std::time::Duration;

use bytesize::ByteSize;
use ltm_auth::AuthSettings;
use ltm_service::{
    Common, CorsSettings, HttpSettings, LogSettings, OtherSection, Program, TracingSettings,
};
pub(crate) use ltm_settings::bytes;
use ltm_settings::{SettingError, check_pause, check_wait, duration, list, within};
use ltm_store::RedisSettings;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// The highest possible `gateway.max_frame`: one client can fill the memory for a frame.
const LARGEST_FRAME: ByteSize = ByteSize::gib(1);

/// All settings of the service.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The section `redis`.
    pub redis: RedisSettings,
    /// The section `gateway`.
    pub gateway: GatewaySettings,
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
    /// The section of the API, which reads it itself.
    #[serde(skip_serializing)]
    pub api: OtherSection,
    /// As `api`.
    #[serde(skip_serializing)]
    pub retention: OtherSection,
    /// The section of the recorder of AG-UI agents, which reads it itself.
    #[serde(skip_serializing)]
    pub agui: OtherSection,
}

/// The gateway. All limits are per process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// The address that the gateway listens on: `host:port`.
    ///
    /// Set it to `0.0.0.0:8000`, and set `auth.mode`, if other machines must reach the gateway.
    pub listen: String,
    /// When the gateway stops, the time for which it reports that it is not ready and still accepts subscribers. A load
    /// balancer must notice that before the first subscriber is told to reconnect.
    ///
    /// Raise it to more than the interval of your load balancer's health checks.
    #[serde(with = "duration")]
    pub drain_notice: Duration,
    /// The time, after `gateway.drain_notice`, over which the gateway spreads the closing of all sockets.
    ///
    /// Raise it if the other gateways cannot take all subscribers so quickly. Kubernetes or systemd must wait longer
    /// than both times together before they kill the process.
    #[serde(with = "duration")]
    pub drain_time: Duration,
    /// The time between two pings to a subscriber. The gateway closes a socket with 1011 if nothing came from the
    /// client for two of these intervals.
    ///
    /// Keep it shorter than the idle timeout of your proxies.
    #[serde(with = "duration")]
    pub ping_interval: Duration,
    /// The longest time that a subscriber may accept no byte. After that the gateway closes the connection.
    ///
    /// Lower it if subscribers that stall hold too many connections.
    #[serde(with = "duration")]
    pub write_stall: Duration,
    /// The time between two comparisons of all followed logs with Redis. A comparison finds entries whose live message
    /// was lost with nothing after it.
    ///
    /// Lower it if such an entry must arrive sooner. Raise it if the comparison puts load on Redis.
    #[serde(with = "duration")]
    pub sweep_interval: Duration,
    /// The time for which the gateway still follows an LTM after its last subscriber has left.
    ///
    /// Raise it if subscribers often leave and return after a moment.
    #[serde(with = "duration")]
    pub linger: Duration,
    /// The time between two reads of a followed list of LTMs. If reading takes long, the gateway reads less often.
    ///
    /// Raise it if lists put load on Redis.
    #[serde(with = "duration")]
    pub list_interval: Duration,
    /// The most different lists of LTMs that are followed at once. A further one gets 503 `over-limit`.
    ///
    /// Raise it if subscribers follow lists of many classes, or have many different grants.
    pub max_lists: usize,
    /// The most different lists of LTMs that one caller follows at once: one API key, or one `sub` of JWTs. A further one
    /// gets 503 `over-limit`. 0: no limit. It has no effect if callers need no credential.
    ///
    /// Raise it if one caller follows many lists, such as a server that follows them for its users.
    pub max_lists_per_caller: usize,
    /// The most subscribers at once. A further one gets 503 `over-limit`.
    ///
    /// Raise it if the gateway has the memory ([limits.md](limits.md#what-slow-subscribers-cost)). Lower it to leave
    /// more for each subscriber.
    pub max_subscribers: usize,
    /// The most subscribers of one LTM at once. The socket of a further one is closed with 1013.
    ///
    /// Lower it if one LTM must not use up all subscribers.
    pub max_subscribers_per_ltm: usize,
    /// The most LTMs that are followed at once. The socket of a subscriber of a further one is closed with 1013.
    ///
    /// Raise it if subscribers follow more LTMs and the gateway has the memory.
    pub max_followed: usize,
    /// The largest WebSocket frame that a client may send. A larger one closes the socket with 1009. It can be at most
    /// 1 GiB.
    ///
    /// Clients send almost nothing, so there is rarely a reason to change it.
    pub max_frame: ByteSize,
    /// The largest text that a client may send, all its fragments together. A larger one closes the socket with 1008.
    ///
    /// Raise it if your tokens are larger.
    pub max_message: ByteSize,
    /// The most messages that a client may send in ten seconds; each fragment counts. More close the socket with 1008.
    /// On a socket for many LTMs, `gateway.max_follows` more are allowed.
    ///
    /// Raise it if pages follow and unfollow LTMs very often.
    pub max_messages: u32,
    /// The most LTMs that one socket may follow. A further `follow` is answered with an `end` with code 1013.
    ///
    /// Raise it if pages show more LTMs at once.
    pub max_follows: u32,
    /// The most bytes that are sent to one subscriber at once, and that wait in memory while its socket accepts none. A
    /// larger message is sent, and waits, as a whole. Later messages wait in the log.
    ///
    /// Raise it for fewer, larger writes. Lower it if many subscribers are slow.
    pub queue: ByteSize,
    /// The most bytes of entries that wait in each thread between Redis and its subscribers. Further ones are dropped
    /// and read from the logs.
    ///
    /// Raise it if `ltm_limits_hit_total` counts this limit.
    pub live_queue: ByteSize,
    /// The most bytes of the latest entries of an LTM that each thread with a subscriber of it keeps in memory. Older
    /// entries are read from the log.
    ///
    /// Raise it if subscribers often reconnect after many entries.
    pub window: ByteSize,
    /// The number of bytes that one read of a log brings, approximately.
    ///
    /// Raise it if subscribers catch up over long logs. A slow subscriber holds up to two pages in memory.
    pub page: ByteSize,
    /// The memory for pages and states that several subscribers share while they catch up.
    ///
    /// Raise it if many subscribers of different LTMs reconnect at the same time.
    pub cache: ByteSize,
    /// The memory for messages of more than 64 KiB that wait for slow subscribers. A message that several subscribers wait
    /// for counts once. If there is no room for a further one, its subscriber is closed with 1013.
    ///
    /// Raise it if `ltm_limits_hit_total` counts this limit and the gateway has the memory.
    pub large_messages: ByteSize,
    /// The most reads of logs at once. Further ones wait.
    ///
    /// Raise it if Redis is idle while subscribers catch up slowly. Lower it if reads delay writes.
    pub max_reads: usize,
    /// Whether the gateway compresses messages to clients that offer `permessage-deflate` in their handshake (RFC 7692).
    /// Browsers do.
    ///
    /// Set it to false if a proxy or a client breaks compressed messages.
    pub compression: bool,
    /// The shortest text that is compressed.
    ///
    /// Raise it if your messages are short and the CPU costs more than the network.
    pub compression_min_size: ByteSize,
    /// The longest text of an entry that is compressed. The other subscribers of the thread wait for as long as that takes.
    /// A `reset` may be longer: other threads compress long ones.
    ///
    /// Raise it if your patches are longer and the network costs more than a few milliseconds.
    pub compression_max_size: ByteSize,
    /// How many subscribers of an LTM on one thread must be able to inflate before its new entries are compressed.
    ///
    /// Raise it if most LTMs have few subscribers and the CPU costs more than the network.
    pub compression_min_subscribers: usize,
    /// The list of messages in the state of an LTM that is not recorded from AG-UI, for the clients of AG-UI: a JSON
    /// Pointer through objects, such as `/messages`.
    ///
    /// Set it if your engine has a conversation in its state under another name.
    pub agui_messages: String,
    /// The classes that `/agui/info` names as agents: a list, or text with commas. Empty: the classes of the newest 100
    /// LTMs that the caller may read.
    ///
    /// Set it if a CopilotKit page names a class that has no LTM yet.
    #[serde(deserialize_with = "list")]
    pub agui_agents: Vec<String>,
    /// The largest body of a request to `/agui`. A client of AG-UI sends all messages and the state that it holds. The
    /// gateway answers a larger one with 413. It keeps a few KiB of a body, whatever its size.
    ///
    /// Raise it if pages hold states and messages that are larger together.
    pub agui_max_input: ByteSize,
    /// The longest time that the body of a request to `/agui` may take to arrive. After that the client gets 408.
    ///
    /// Raise it if pages with long conversations have slow networks.
    #[serde(with = "duration")]
    pub agui_input_timeout: Duration,
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
            max_lists_per_caller: 8,
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
            large_messages: ByteSize::mib(256),
            max_reads: 32,
            compression: true,
            compression_min_size: ByteSize::b(128),
            compression_max_size: ByteSize::kib(256),
            compression_min_subscribers: 1,
            agui_messages: "/_messages".into(),
            agui_agents: Vec::new(),
            agui_max_input: ByteSize::mib(16),
            agui_input_timeout: Duration::from_secs(30),
        }
    }
}

impl GatewaySettings {
    /// Rejects values that the service cannot run with.
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
        let permits = 0..=Semaphore::MAX_PERMITS;
        within("gateway.max_subscribers", self.max_subscribers, permits)?;
        let frames = ByteSize::b(0)..=LARGEST_FRAME;
        within("gateway.max_frame", self.max_frame, frames)?;
        check_wait("gateway.agui_input_timeout", self.agui_input_timeout)?;
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
