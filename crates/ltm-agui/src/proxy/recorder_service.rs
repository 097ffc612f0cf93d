//! What the requests of the recorder share.

use std::{sync::Arc, time::Duration};

use ltm_client::{Client, Error, LtmKey, ServerUrl, Token};
use ltm_service::{Failure, LimitsHit, Tasks};
use ltm_settings::{SettingError, bytes};
use ltm_state::patch::{DEFAULT_DEPTH, DEFAULT_OPERATIONS, Limits};
use reqwest::Url;
use tokio::runtime::Handle;

use super::{
    inputs::InputBudget,
    runs::Runs,
    settings::AguiSettings,
    source::SourceLimits,
    thread_log::{self, ThreadLog},
};
use crate::record::Options;

/// How often a quiet run writes within its lease.
const WRITES_PER_LEASE: u32 = 4;
/// How long a connection to an agent or a gateway may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The recorder. Clones share it.
#[derive(Clone)]
pub(super) struct RecorderService {
    inner: Arc<Inner>,
}

struct Inner {
    settings: AguiSettings,
    agents: Vec<(Option<String>, Url)>,
    server: ServerUrl,
    /// Writes with the recorder's own credential.
    client: Client,
    /// Asks agents and the gateway.
    http: reqwest::Client,
    runs: Runs,
    inputs: InputBudget,
    tasks: Tasks,
    /// The runtime of the process: those of the server's threads end before the runs do.
    runtime: Handle,
    limits: LimitsHit,
}

/// Why the recorder cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The HTTP client cannot be created.
    #[error(transparent)]
    Client(#[from] Error),
    /// As `Client`.
    #[error("cannot create the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// Other machines can reach the recorder, and callers of the services need no credential.
    #[error(
        "agui.listen is an address that other machines can reach, and {0} answers callers without a credential: set \
         auth.mode there, or set agui.open here if anybody may run the agents"
    )]
    Open(ServerUrl),
    /// The server failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Failure for StartError {
    fn is_wrong_setting(&self) -> bool {
        matches!(self, Self::Setting(_) | Self::Open(_))
    }
}

impl RecorderService {
    pub(super) fn new(
        settings: AguiSettings,
        server: ServerUrl,
        token: Option<Token>,
        tasks: Tasks,
        limits: LimitsHit,
    ) -> Result<Self, StartError> {
        let agents = settings.agents()?;
        if agents.is_empty() {
            let problem = "name the agent that is recorded: --upstream http://127.0.0.1:8123/agui";
            return Err(SettingError::new("agui.upstreams", problem).into());
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("ltm-agui/", env!("CARGO_PKG_VERSION")))
            // An agent must not choose where the recorder connects.
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT);
        if agents.iter().all(|(_, url)| url.scheme() == "http") {
            // A bare system has no CA certificates. Without TLS, none are needed.
            http = http.tls_certs_only([]);
        }
        let http = http.build()?;
        let inner = Inner {
            client: thread_log::client(server.clone(), token)?,
            runs: Runs::new(settings.max_runs),
            inputs: InputBudget::new(bytes(settings.inputs), settings.input_wait),
            settings,
            agents,
            server,
            http,
            tasks,
            runtime: Handle::current(),
            limits,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub(super) fn settings(&self) -> &AguiSettings {
        &self.inner.settings
    }

    pub(super) fn runs(&self) -> &Runs {
        &self.inner.runs
    }

    pub(super) fn inputs(&self) -> &InputBudget {
        &self.inner.inputs
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    pub(super) fn limits(&self) -> &LimitsHit {
        &self.inner.limits
    }

    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.inner.http
    }

    /// The address of the services.
    pub(super) fn server(&self) -> &ServerUrl {
        &self.inner.server
    }

    /// Runs a task that outlives the server's threads.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let _runtime = self.inner.runtime.enter();
        self.inner.tasks.spawn("AG-UI run", task);
    }

    /// The address of an agent.
    pub(super) fn agent(&self, id: &str) -> Option<Url> {
        let agents = &self.inner.agents;
        let named = agents.iter().find(|(name, _)| name.as_deref() == Some(id));
        let any = || agents.iter().find(|(name, _)| name.is_none());
        named.or_else(any).map(|(_, url)| url.clone())
    }

    /// The ids of the agents that a page can find.
    pub(super) fn agent_ids(&self) -> impl Iterator<Item = &str> {
        self.inner
            .agents
            .iter()
            .map(|(id, _)| id.as_deref().unwrap_or("default"))
    }

    /// The LTM of a thread, as `token` may use it, or as the recorder itself.
    pub(super) fn log(
        &self,
        key: LtmKey,
        token: Option<Option<Token>>,
    ) -> Result<ThreadLog, Error> {
        let client = match token {
            Some(token) => thread_log::client(self.inner.server.clone(), token)?,
            None => self.inner.client.clone(),
        };
        Ok(ThreadLog::new(
            client,
            key,
            self.inner.settings.write_timeout,
        ))
    }

    /// How the runs are recorded.
    pub(super) fn recording_options(&self) -> Options {
        let settings = &self.inner.settings;
        let max_state = bytes(settings.max_state);
        Options {
            raw: settings.raw,
            limits: Limits::of_state(max_state, DEFAULT_DEPTH, DEFAULT_OPERATIONS),
        }
    }

    pub(super) fn source_limits(&self) -> SourceLimits {
        let settings = &self.inner.settings;
        SourceLimits {
            max_event: bytes(settings.max_event),
            buffer: bytes(settings.buffer),
            idle: settings.idle,
        }
    }

    /// How long the log of a run may stay without an entry.
    pub(super) fn quiet(&self) -> Duration {
        self.inner.settings.lease / WRITES_PER_LEASE
    }
}
