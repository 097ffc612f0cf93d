//! The targets of the load: the services, the floor and the peers.

pub(crate) mod centrifugo;
pub(crate) mod channel;
pub(crate) mod commands;
pub(crate) mod file_server;
pub(crate) mod floor;
pub(crate) mod ltm;
pub(crate) mod process;
pub(crate) mod usage;

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use ltm_client::{Created, Cursor, LtmId};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    error::Error,
    load::{
        delivery_check::DeliveryCheck, handshake::Subscription, http::Http, producer::Producer,
        redis::Redis,
    },
};
pub(crate) use channel::{Channel, Kind};
use ltm::LtmClient;
use process::{Process, START, free_port};

/// A running target. Its processes end when it is dropped.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// Empty if the target runs elsewhere.
    pub(crate) processes: Vec<Process>,
    producers_at: String,
    subscribers_at: String,
    next: AtomicU64,
    producers: AtomicUsize,
    /// The address of its Redis, if that runs here.
    pub(crate) redis_at: Option<String>,
    _folder: TempDir,
}

impl Target {
    pub(crate) fn start(kind: Kind) -> Result<Self, Error> {
        let folder = TempDir::new()?;
        match kind {
            Kind::Live => Self::live(folder),
            Kind::Floor => Self::floor(folder),
            Kind::Nchan => Self::nchan(folder),
            Kind::Centrifugo => Self::centrifugo(folder),
        }
    }

    /// Services that run elsewhere: `host:port` of an API and of a gateway.
    pub(crate) fn external(api: String, gateway: String) -> Result<Self, Error> {
        Ok(Self {
            kind: Kind::Live,
            processes: Vec::new(),
            producers_at: api,
            subscribers_at: gateway,
            next: AtomicU64::new(1),
            producers: AtomicUsize::new(0),
            redis_at: None,
            _folder: TempDir::new()?,
        })
    }

    fn live(folder: TempDir) -> Result<Self, Error> {
        let (redis, address) = start_redis(folder.path())?;
        let (api, producers_at) = start_service("ltm-api", &address)?;
        let (gateway, subscribers_at) = start_service("ltm-gateway", &address)?;
        Ok(Self {
            kind: Kind::Live,
            // The services end before Redis.
            processes: vec![api, gateway, redis],
            producers_at,
            subscribers_at,
            next: AtomicU64::new(1),
            producers: AtomicUsize::new(0),
            redis_at: Some(address),
            _folder: folder,
        })
    }

    fn floor(folder: TempDir) -> Result<Self, Error> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", &address]);
        let process = Process::start("floor", &mut command, &address)?;
        Ok(Self::peer(Kind::Floor, vec![process], address, folder))
    }

    /// Redis alone, with the same settings as the services' Redis: the floor of scenarios that write to it.
    pub(crate) fn bare_redis() -> Result<Self, Error> {
        let folder = TempDir::new()?;
        let (process, address) = start_redis(folder.path())?;
        Ok(Self {
            redis_at: Some(address.clone()),
            ..Self::peer(Kind::Floor, vec![process], address, folder)
        })
    }

    fn nchan(folder: TempDir) -> Result<Self, Error> {
        let (redis, redis_at) = start_redis(folder.path())?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, nchan_settings(&address, &redis_at, folder.path()))?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&path).args(["-g", "daemon off;"]);
        let process = Process::start("nginx", &mut command, &address)?;
        // Each worker rejects requests until it has connected to Redis, and the system spreads connections over
        // the workers.
        let (began, mut taken) = (Instant::now(), 0);
        while taken < 50 {
            match Http::connect(&address)?.post("/pub/0", b"ready?") {
                Ok(_) => taken += 1,
                Err(_) if began.elapsed() > START => return Err(Error::Start("nginx")),
                Err(_) => {
                    taken = 0;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        Ok(Self {
            redis_at: Some(redis_at),
            ..Self::peer(Kind::Nchan, vec![process, redis], address, folder)
        })
    }

    /// A server to compare with: messages and subscribers go to one address.
    fn peer(kind: Kind, processes: Vec<Process>, address: String, folder: TempDir) -> Self {
        Self {
            kind,
            processes,
            producers_at: address.clone(),
            subscribers_at: address,
            next: AtomicU64::new(1),
            producers: AtomicUsize::new(0),
            redis_at: None,
            _folder: folder,
        }
    }

    fn centrifugo(folder: TempDir) -> Result<Self, Error> {
        let (redis, redis_at) = start_redis(folder.path())?;
        let (process, address) = centrifugo::start(&redis_at, folder.path())?;
        Ok(Self {
            redis_at: Some(redis_at),
            ..Self::peer(Kind::Centrifugo, vec![process, redis], address, folder)
        })
    }

    /// Replaces the API by a new one, with empty caches, if it runs here.
    pub(crate) fn renew_api(&mut self) -> Result<(), Error> {
        let api = self.processes.iter_mut().find(|p| p.name() == "ltm-api");
        if let (Some(api), Some(redis)) = (api, &self.redis_at) {
            (*api, self.producers_at) = start_service("ltm-api", redis)?;
        }
        Ok(())
    }

    /// The process with this name, if it runs here.
    pub(crate) fn process(&self, name: &str) -> Option<&Process> {
        let mut processes = self.processes.iter();
        processes.find(|process| process.name() == name)
    }

    /// The process that holds the subscribers' connections.
    pub(crate) fn holder(&self) -> Option<&Process> {
        self.process(match self.kind {
            Kind::Live => "ltm-gateway",
            Kind::Floor => "floor",
            Kind::Nchan => "nginx",
            Kind::Centrifugo => "centrifugo",
        })
    }

    /// The memory of that process in bytes; not a number if it runs elsewhere.
    pub(crate) fn memory(&self) -> f64 {
        let holder = self.holder();
        holder.map_or(f64::NAN, |process| process.memory() as f64)
    }

    /// A connection to its Redis, if that runs here.
    pub(crate) fn redis(&self) -> Result<Option<Redis>, Error> {
        self.redis_at.as_deref().map(Redis::connect).transpose()
    }

    /// Creates channels: LTMs with this state.
    pub(crate) fn channels(&self, count: usize, state: &Value) -> Result<Vec<Channel>, Error> {
        let live = self.client()?;
        let create = |_| {
            let Some(live) = &live else {
                let number = self.next.fetch_add(1, Ordering::SeqCst);
                let id = LtmId::new(number).map_err(|e| Error::Answer(e.to_string()))?;
                let cursor = Cursor::ORIGIN;
                return Ok(Channel { id, cursor });
            };
            let Created { id, cursor, .. } = live.create(state)?;
            Ok(Channel { id, cursor })
        };
        (0..count).map(create).collect()
    }

    /// A client of the services, if the target is the services.
    pub(crate) fn client(&self) -> Result<Option<LtmClient>, Error> {
        let live = (self.kind == Kind::Live)
            .then(|| LtmClient::new(&self.producers_at, &self.subscribers_at));
        live.transpose()
    }

    /// Checks that a subscriber has the state that the API has, if the target is the services.
    pub(crate) fn check(&self, channels: &[Channel]) -> Result<(), Error> {
        match (self.client()?, channels.first()) {
            (Some(live), Some(channel)) => live.check(channel.id),
            _ => Ok(()),
        }
    }

    /// A subscription to everything after the creation of the channel.
    pub(crate) fn subscription(&self, channel: &Channel) -> Subscription {
        let path = match self.kind {
            Kind::Live => format!("/ws/{}?after={}", channel.id, channel.cursor),
            Kind::Floor | Kind::Nchan => format!("/sub/{}", channel.id),
            Kind::Centrifugo => "/connection/websocket".into(),
        };
        let centrifugo = (self.kind == Kind::Centrifugo).then(|| channel.id.to_string());
        let order = match self.kind {
            Kind::Live => DeliveryCheck::Log { last: 1 },
            kind => DeliveryCheck::Producers {
                last: Vec::new(),
                doubles: kind == Kind::Nchan,
            },
        };
        Subscription {
            address: self.subscribers_at.clone(),
            path,
            centrifugo,
            order,
            compressed: false,
            source: None,
            resumes: false,
        }
    }

    /// A connection to the API.
    pub(crate) fn http(&self) -> Result<Http, Error> {
        Http::connect(&self.producers_at)
    }

    /// A producer with a connection of its own.
    pub(crate) fn producer(&self) -> Result<Producer, Error> {
        let number = self.producers.fetch_add(1, Ordering::SeqCst);
        Ok(Producer::new(self.kind, self.http()?, number))
    }
}

/// Starts a service on this Redis; returns its address, too.
fn start_service(name: &'static str, redis: &str) -> Result<(Process, String), Error> {
    let mut command = commands::service(name)?;
    command.env("LTM__REDIS__URL", format!("redis://{redis}/0"));
    Process::service(name, &mut command)
}

/// Starts a Redis server; returns its address, too.
fn start_redis(folder: &Path) -> Result<(Process, String), Error> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = commands::redis(port, folder);
    Ok((Process::start("redis", &mut command, &address)?, address))
}

fn nchan_settings(address: &str, redis: &str, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "load_module modules/ngx_nchan_module.so;
worker_processes 2;
worker_rlimit_nofile 200000;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 100000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  nchan_shared_memory_size 1024M;
  upstream redis {{ nchan_redis_server redis://{redis}; }}
  server {{
    listen {address} backlog=65535 reuseport;
    location ~ /pub/(\\d+)$ {{ nchan_publisher; nchan_channel_id $1; nchan_redis_pass redis; nchan_message_buffer_length 1000; }}
    location ~ /sub/(\\d+)$ {{ nchan_subscriber websocket; nchan_channel_id $1; nchan_redis_pass redis; nchan_subscriber_first_message oldest; }}
  }}
}}
"
    )
}
