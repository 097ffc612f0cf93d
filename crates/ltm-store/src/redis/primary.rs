//! Finds the primary: at a fixed address, with the help of Sentinels, or in a cluster each node for its keys.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection, cluster::ClusterClient,
    sentinel::SentinelClient,
};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    error::StoreError,
    redis::cluster,
    redis::connection::RedisConnection,
    redis::sentinels,
    redis::settings::{Deployment, RedisSettings},
    redis::tls,
    spawner::Spawner,
};

/// How often the Sentinels are asked whether the primary is still the same.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait for all Sentinels together. The client asks three of them at once. Each has a second to
/// connect, and half a second to answer.
const FIND_TIMEOUT: Duration = Duration::from_secs(10);

/// The primary.
pub(crate) struct Primary {
    discovery: Discovery,
    /// Its address, once it is known.
    address: watch::Sender<Option<Arc<str>>>,
}

/// How the primary is found. The clients are large, so they are boxed.
enum Discovery {
    Fixed(Box<Client>),
    Sentinels {
        lookup: Box<Mutex<Lookup>>,
        /// The Sentinels, for error messages.
        shown: String,
    },
    Cluster {
        client: Box<ClusterClient>,
        /// The nodes, in place of an address.
        shown: Arc<str>,
    },
}

/// Asks the Sentinels for the primary.
struct Lookup {
    sentinels: SentinelClient,
    /// When the last answer came, and what it was. Callers that waited for it take it: each lookup takes a second if one
    /// Sentinel hangs, and callers that ask one after the other would wait longer than their time limit.
    last: Option<(Instant, Result<Client, String>)>,
}

impl Primary {
    /// The primary for these settings. Sends nothing yet. If there are Sentinels, it starts a task that watches them
    /// until the value is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Setting`] if a setting cannot be used.
    pub(crate) fn new(
        settings: &RedisSettings,
        spawner: &Spawner,
    ) -> Result<Arc<Self>, StoreError> {
        let discovery = match settings.deployment()? {
            Deployment::Single => {
                let client = tls::client(settings, settings.connection_info()?)?;
                Discovery::Fixed(Box::new(client))
            }
            Deployment::Sentinels => Discovery::Sentinels {
                lookup: Box::new(Mutex::new(Lookup {
                    sentinels: sentinels::client(settings)?,
                    last: None,
                })),
                shown: settings.shown_address(),
            },
            Deployment::Cluster => Discovery::Cluster {
                client: Box::new(cluster::client(settings)?),
                shown: settings.shown_address().into(),
            },
        };
        let primary = Arc::new(Self {
            discovery,
            address: watch::Sender::new(None),
        });
        if matches!(primary.discovery, Discovery::Sentinels { .. }) {
            let watch = watch_sentinels(Arc::downgrade(&primary));
            spawner.spawn("Sentinel watch", watch);
        }
        Ok(primary)
    }

    /// A new connection for commands, and its address.
    pub(crate) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<(Arc<str>, RedisConnection), RedisError> {
        if let Discovery::Cluster { client, shown } = &self.discovery {
            let connection = Box::pin(client.get_async_connection()).await?;
            return Ok((shown.clone(), RedisConnection::Cluster(connection)));
        }
        let (address, connection) = self.connect_to_server(config).await?;
        Ok((address, RedisConnection::Single(connection)))
    }

    /// A new connection to the server that is the primary, and its address.
    ///
    /// # Errors
    ///
    /// The error of the connection. A cluster has no single primary, which is an error, too.
    pub(crate) async fn connect_to_server(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<(Arc<str>, MultiplexedConnection), RedisError> {
        let (address, client) = self.find().await?;
        let connection = client
            .get_multiplexed_async_connection_with_config(config)
            .await?;
        Ok((address, connection))
    }

    /// Whether the primary is known to have another address than this one.
    pub(crate) fn has_moved_from(&self, address: &str) -> bool {
        self.address
            .borrow()
            .as_deref()
            .is_some_and(|now| now != address)
    }

    /// Waits until the primary has another address than this one.
    pub(crate) async fn moved_from(&self, address: &str) {
        let mut addresses = self.address.subscribe();
        let has_moved = |now: &Option<Arc<str>>| now.as_deref().is_some_and(|now| now != address);
        // It cannot fail: `self` has the sender.
        let _ = addresses.wait_for(has_moved).await;
    }

    /// Finds the primary: its address, and a client of it.
    async fn find(&self) -> Result<(Arc<str>, Client), RedisError> {
        let client = match &self.discovery {
            Discovery::Fixed(client) => Client::clone(client),
            Discovery::Sentinels { lookup, shown } => ask_sentinels(lookup, shown).await?,
            Discovery::Cluster { shown, .. } => {
                let text = format!("{shown} has no single primary");
                return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text).into());
            }
        };
        let address: Arc<str> = client.get_connection_info().addr().to_string().into();
        self.set_address(&address);
        Ok((address, client))
    }

    fn set_address(&self, address: &Arc<str>) {
        self.address.send_if_modified(|known| {
            let before = known.replace(address.clone());
            if before.as_ref().is_some_and(|before| before != address) {
                tracing::warn!(
                    address = &**address,
                    previous = before.as_deref(),
                    "another Redis is the primary"
                );
            }
            before.as_ref() != Some(address)
        });
    }
}

async fn ask_sentinels(lookup: &Mutex<Lookup>, shown: &str) -> Result<Client, RedisError> {
    let began = Instant::now();
    let mut lookup = lookup.lock().await;
    let found = match &lookup.last {
        Some((at, found)) if *at >= began => found.clone(),
        _ => lookup.ask().await,
    };
    found.map_err(|cause| {
        let text = format!("no primary of {shown} can be found: {cause}");
        std::io::Error::new(std::io::ErrorKind::NotConnected, text).into()
    })
}

impl Lookup {
    /// Asks all Sentinels. The error is text.
    async fn ask(&mut self) -> Result<Client, String> {
        // The client also asks the node for its ROLE, because a Sentinel may not know the latest primary. The future is
        // boxed, because it is large and part of every command's future.
        let find = Box::pin(self.sentinels.async_get_client());
        let found = match timeout(FIND_TIMEOUT, find).await {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".into()),
        };
        self.last = Some((Instant::now(), found.clone()));
        found
    }
}

/// Asks the Sentinels regularly. A primary that was unreachable for a while accepts writes when it returns, until the
/// Sentinels demote it.
async fn watch_sentinels(primary: Weak<Primary>) {
    let mut found = true;
    loop {
        sleep(WATCH_INTERVAL).await;
        let Some(primary) = primary.upgrade() else {
            return;
        };
        let outcome = primary.find().await;
        match &outcome {
            Ok((address, _)) if !found => {
                tracing::info!(address = &**address, "the Sentinels report a primary again");
            }
            Err(error) if found => {
                tracing::warn!(%error, retry_in = ?WATCH_INTERVAL, "no Sentinel reports a primary; retrying");
            }
            _ => {}
        }
        found = outcome.is_ok();
    }
}
