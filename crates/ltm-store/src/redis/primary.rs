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
    time::{sleep, timeout},
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
        client: Box<Mutex<SentinelClient>>,
        /// The Sentinels, for error messages.
        shown: String,
    },
    Cluster {
        client: Box<ClusterClient>,
        /// The nodes, in place of an address.
        shown: Arc<str>,
    },
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
                client: Box::new(Mutex::new(sentinels::client(settings)?)),
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
            Discovery::Sentinels { client, shown } => ask_sentinels(client, shown).await?,
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

async fn ask_sentinels(client: &Mutex<SentinelClient>, shown: &str) -> Result<Client, RedisError> {
    let mut sentinels = client.lock().await;
    // The client also asks the node for its ROLE, because a Sentinel may not know the latest primary. The future is
    // boxed, because it is large and part of every command's future.
    let find = Box::pin(sentinels.async_get_client());
    let cause = match timeout(FIND_TIMEOUT, find).await {
        Ok(Ok(client)) => return Ok(client),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".into(),
    };
    let text = format!("no primary of {shown} can be found: {cause}");
    Err(std::io::Error::new(std::io::ErrorKind::NotConnected, text).into())
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
