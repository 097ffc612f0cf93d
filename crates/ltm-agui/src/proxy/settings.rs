//! The settings of the recorder.

use std::{net::ToSocketAddrs, time::Duration};

use bytesize::ByteSize;
use ltm_auth::AuthSettings;
use ltm_service::{
    Common, CorsSettings, HttpSettings, LogSettings, OtherSection, Program, TracingSettings,
};
use ltm_settings::{SettingError, check_pause, check_wait, duration, list, within};
use ltm_state::MAX_STATE_BYTES;
use ltm_store::RedisSettings;
use serde::{Deserialize, Serialize};
use url::Url;

/// All settings of the recorder.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The section `agui`.
    pub agui: AguiSettings,
    /// The section `http`.
    pub http: HttpSettings,
    /// The section `cors`.
    pub cors: CorsSettings,
    /// The section `log`.
    pub log: LogSettings,
    /// The section `tracing`.
    pub tracing: TracingSettings,
    /// The recorder uses no Redis; the services read this section.
    #[serde(skip_serializing)]
    pub redis: OtherSection,
    /// As `redis`: the services check the credentials of pages.
    #[serde(skip_serializing)]
    pub auth: OtherSection,
    /// As `redis`.
    #[serde(skip_serializing)]
    pub api: OtherSection,
    /// As `redis`.
    #[serde(skip_serializing)]
    pub gateway: OtherSection,
    /// As `redis`.
    #[serde(skip_serializing)]
    pub retention: OtherSection,
    #[serde(skip)]
    no_redis: RedisSettings,
    #[serde(skip)]
    no_auth: AuthSettings,
}

/// The recorder of AG-UI agents (`ltm agui`). All limits are per process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AguiSettings {
    /// The address that the recorder listens on: `host:port`.
    ///
    /// Set it to `0.0.0.0:8010` if other machines must reach it. The services must then require credentials.
    pub listen: String,
    /// The agents that it records: `URL` for every agent, or `AGENT=URL` for the agent with this id, which is the class of
    /// its LTMs. `--upstream` adds to them. A request never names an address.
    ///
    /// Name the agents if you have several, or if a CopilotKit page must find them.
    #[serde(deserialize_with = "list")]
    pub upstreams: Vec<String>,
    /// The headers of a page's request that the recorder sends to the agent. It sends no others, so the agent never sees the
    /// credential of the page.
    ///
    /// Set it to `authorization` if the agent must know who calls, and you trust it with the credential.
    #[serde(deserialize_with = "list")]
    pub forward_headers: Vec<String>,
    /// Whether pages need no credential although other machines can reach the recorder. Without it, the recorder stops if it
    /// listens on such an address and the services answer callers without a credential.
    ///
    /// Set it only in a network that you trust.
    pub open: bool,
    /// Whether `RAW` events are recorded. They repeat what the framework behind the agent says, and can be most of a stream.
    ///
    /// Set it if your pages read them.
    pub raw: bool,
    /// The time for which the recorder collects events before it writes them together. Pieces of one text become one piece.
    ///
    /// Raise it for fewer and larger snapshots. Lower it if pages must see each token sooner.
    #[serde(with = "duration")]
    pub batch_interval: Duration,
    /// The largest event. A larger one ends the run with `RUN_ERROR`, code `event-too-large`. It can be at most 3 MiB, because
    /// the log has much of it twice: in the item and in the change, which must fit into `api.max_body`.
    ///
    /// Lower it to bound what one agent can make the log grow by at once.
    pub max_event: ByteSize,
    /// The largest state that a state delta of the agent may make, as JSON text. The recorder does not apply a larger one, and
    /// adds an error record. Its memory is limited as `api.max_state` says.
    ///
    /// Set it to `api.max_state` if you change that.
    pub max_state: ByteSize,
    /// The largest request of a page. A larger one gets 413. A page sends all messages and the state with each run. Their
    /// values may take six times this limit in memory, and 16 MiB in any case.
    ///
    /// Raise it if your threads are longer.
    pub max_input: ByteSize,
    /// The longest time that such a request may take to arrive. After that the page gets 408 `request-timeout`.
    ///
    /// Raise it if pages have slow connections and long threads.
    #[serde(with = "duration")]
    pub input_timeout: Duration,
    /// The memory for the large requests of all pages, from their first byte until the agent answers: those of more than
    /// 64 KiB, and those whose values take more than 1 MiB. Half of it is for the texts, and half for the values in them.
    ///
    /// Raise it if many pages with long threads begin runs at the same time. Keep it larger than twice `agui.max_input`.
    pub inputs: ByteSize,
    /// The longest time that such a request waits for its part of `agui.inputs`. After that the page gets 503 `over-limit`.
    ///
    /// Raise it if pages should rather wait than try again.
    #[serde(with = "duration")]
    pub input_wait: Duration,
    /// The most bytes of events of one run that wait for the API. Then the recorder reads no more from the agent until
    /// they are written.
    ///
    /// Raise it if agents must not be held up while the API is away for some seconds.
    pub buffer: ByteSize,
    /// The longest time that an agent may send nothing. Then the run ends with `RUN_ERROR`, code `upstream-idle`.
    ///
    /// Raise it if your agents think longer without a word.
    #[serde(with = "duration")]
    pub idle: Duration,
    /// The longest time that the recorder tries to write the same events. Then it gives up the run.
    ///
    /// Raise it if the API may be away for longer, for example during a failover of Redis.
    #[serde(with = "duration")]
    pub write_timeout: Duration,
    /// After this time without an entry, a run counts as lost: the process that recorded it has ended. Any recorder then
    /// ends it with `RUN_ERROR`, code `recorder-lost`. While its agent is quiet, a run writes an entry four times in this
    /// time.
    ///
    /// Lower it if pages must learn sooner that a recorder has died. Keep it longer than the API may be away.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// The longest time that the runs may go on when the recorder stops. Then they end with `RUN_ERROR`, code
    /// `recorder-stopped`.
    ///
    /// Raise it to the length of your runs, and let Kubernetes or systemd wait longer than that.
    #[serde(with = "duration")]
    pub drain_time: Duration,
    /// The most runs at once. A further one gets 503 `over-limit`.
    ///
    /// Raise it if the recorder has the memory: a run keeps the state of its LTM.
    pub max_runs: usize,
}

impl Default for AguiSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8010".into(),
            upstreams: Vec::new(),
            forward_headers: Vec::new(),
            open: false,
            raw: false,
            batch_interval: Duration::from_millis(50),
            max_event: LARGEST_EVENT,
            max_state: ByteSize::mib(16),
            max_input: ByteSize::mib(10),
            input_timeout: Duration::from_secs(30),
            inputs: ByteSize::mib(256),
            input_wait: Duration::from_secs(10),
            buffer: ByteSize::mib(8),
            idle: Duration::from_secs(300),
            write_timeout: Duration::from_secs(60),
            lease: Duration::from_secs(20),
            drain_time: Duration::from_secs(20),
            max_runs: 256,
        }
    }
}

/// What fits twice into a write to the API (`api.max_body`, 8 MiB unless an operator changes it), with what the recorder adds.
const LARGEST_EVENT: ByteSize = ByteSize::mib(3);
/// A semaphore gives at most 4 Gi permits at once.
const LARGEST_INPUTS: ByteSize = ByteSize::gib(3);
/// The shortest lease: a live run must be able to write in it.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

impl AguiSettings {
    /// Rejects values that the recorder cannot run with.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        check_pause("agui.batch_interval", self.batch_interval)?;
        within(
            "agui.max_event",
            self.max_event,
            ByteSize::b(1)..=LARGEST_EVENT,
        )?;
        let states = ByteSize::b(0)..=ByteSize::b(MAX_STATE_BYTES as u64);
        within("agui.max_state", self.max_state, states)?;
        let buffers = ByteSize::b(1)..=ByteSize::gib(1);
        within("agui.buffer", self.buffer, buffers)?;
        check_pause("agui.idle", self.idle)?;
        check_wait("agui.write_timeout", self.write_timeout)?;
        check_wait("agui.lease", self.lease)?;
        if self.lease < SHORTEST_LEASE {
            return Err(SettingError::new("agui.lease", "it must be at least 1s"));
        }
        check_wait("agui.input_timeout", self.input_timeout)?;
        within("agui.inputs", self.inputs, ByteSize::b(1)..=LARGEST_INPUTS)?;
        check_wait("agui.input_wait", self.input_wait)?;
        check_wait("agui.drain_time", self.drain_time)?;
        self.agents().map(drop)
    }

    /// The agents: the id, if the setting names one, and the address.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub(super) fn agents(&self) -> Result<Vec<(Option<String>, Url)>, SettingError> {
        let agent = |text: &String| {
            let wrong = |why: &str| {
                let problem = format!(
                    "{text:?}: {why}; examples are http://127.0.0.1:8123/agui and app.Agent=http://agent/agui"
                );
                SettingError::new("agui.upstreams", problem)
            };
            // The id comes before the first `=`; a URL without one begins with its scheme.
            let (id, url) = match text.split_once('=') {
                Some((id, url)) if !id.contains(':') => (Some(id.trim().to_owned()), url),
                _ => (None, text.as_str()),
            };
            let url = Url::parse(url.trim()).map_err(|e| wrong(&e.to_string()))?;
            match url.scheme() {
                "http" | "https" => Ok((id, url)),
                _ => Err(wrong("it is not an http or https URL")),
            }
        };
        self.upstreams.iter().map(agent).collect()
    }

    /// Whether only programs on this machine can reach the recorder.
    pub(super) fn is_local(&self) -> bool {
        let addresses = self.listen.to_socket_addrs();
        addresses.is_ok_and(|mut all| all.all(|it| it.ip().is_loopback()))
    }
}

impl Program for Settings {
    const NAME: &'static str = "ltm-agui";

    fn common(&self) -> Common<'_> {
        Common {
            redis: &self.no_redis,
            http: &self.http,
            auth: &self.no_auth,
            log: &self.log,
            tracing: &self.tracing,
        }
    }

    fn listen(&self) -> &str {
        &self.agui.listen
    }

    fn check(&self) -> Result<(), SettingError> {
        self.agui.check()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn agents(text: &str) -> Result<Vec<(Option<String>, Url)>, SettingError> {
        let upstreams = vec![text.to_owned()];
        AguiSettings {
            upstreams,
            ..AguiSettings::default()
        }
        .agents()
    }

    #[test]
    fn an_agent_has_an_address_and_may_have_an_id() {
        let one = |text| agents(text).unwrap().remove(0);
        assert_eq!(
            one("http://a/x?k=v"),
            (None, "http://a/x?k=v".parse().unwrap())
        );
        let named = (Some("app.Agent".to_owned()), "https://a/".parse().unwrap());
        assert_eq!(one("app.Agent=https://a"), named);
        for wrong in ["a", "app.Agent=", "file:///etc/passwd", "x=ftp://a"] {
            let error = agents(wrong).unwrap_err().to_string();
            assert!(error.contains("agui.upstreams"), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_accepted() {
        AguiSettings::default().check().unwrap();
        assert!(AguiSettings::default().is_local());
    }
}
