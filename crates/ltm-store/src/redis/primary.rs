//! Which Redis leads: the one at a fixed address, whichever the Sentinels name, or each node of a cluster for its keys.

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
    redis::sentinels,
    redis::settings::{Arrangement, RedisSettings},
    redis::tls,
    redis::transport::Transport,
    spawner::Spawner,
};

/// How often the Sentinels are asked whether the primary is still the same.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait for all Sentinels together. Each has a second to connect and half a second for an
/// answer, three of them at once.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// The Redis that leads.
pub(crate) struct Primary {
    place: Place,
    /// Its address, as far as it is known.
    address: watch::Sender<Option<Arc<str>>>,
}

enum Place {
    /// Boxed as the other is: both are large.
    Fixed(Box<Client>),
    Sentinels {
        client: Box<Mutex<SentinelClient>>,
        /// For errors.
        shown: String,
    },
    Cluster {
        client: Box<ClusterClient>,
        /// Stands for all addresses.
        shown: Arc<str>,
    },
}

impl Primary {
    /// The primary for these settings. Nothing is sent yet; where there are Sentinels, a task begins
    /// to watch that ends when the value is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Setting`] if a setting cannot be used.
    pub(crate) fn of(settings: &RedisSettings, spawner: &Spawner) -> Result<Arc<Self>, StoreError> {
        let place = match settings.arrangement()? {
            Arrangement::Single => {
                let client = tls::client(settings, settings.connection_info()?)?;
                Place::Fixed(Box::new(client))
            }
            Arrangement::Sentinels => Place::Sentinels {
                client: Box::new(Mutex::new(sentinels::client(settings)?)),
                shown: settings.shown_place(),
            },
            Arrangement::Cluster => Place::Cluster {
                client: Box::new(cluster::client(settings)?),
                shown: settings.shown_place().into(),
            },
        };
        let primary = Arc::new(Self {
            place,
            address: watch::Sender::new(None),
        });
        if matches!(primary.place, Place::Sentinels { .. }) {
            spawner.spawn(
                "Sentinel watch",
                watch_for_changes(Arc::downgrade(&primary)),
            );
        }
        Ok(primary)
    }

    /// A new connection for commands, and the address that it leads to.
    pub(crate) async fn transport(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<(Arc<str>, Transport), RedisError> {
        if let Place::Cluster { client, shown } = &self.place {
            let connection = Box::pin(client.get_async_connection()).await?;
            return Ok((shown.clone(), Transport::Cluster(connection)));
        }
        let (address, connection) = self.connect(config).await?;
        Ok((address, Transport::Single(connection)))
    }

    /// A new connection to the one server that leads, and its address.
    ///
    /// # Errors
    ///
    /// That there is none, in a cluster.
    pub(crate) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<(Arc<str>, MultiplexedConnection), RedisError> {
        let (address, client) = self.find().await?;
        let connection = client
            .get_multiplexed_async_connection_with_config(config)
            .await?;
        Ok((address, connection))
    }

    /// Whether another Redis is known to lead than the one at this address.
    pub(crate) fn has_moved_from(&self, address: &str) -> bool {
        self.address
            .borrow()
            .as_deref()
            .is_some_and(|now| now != address)
    }

    /// Waits until another Redis leads than the one at this address.
    pub(crate) async fn moved_from(&self, address: &str) {
        let mut addresses = self.address.subscribe();
        let elsewhere = |now: &Option<Arc<str>>| now.as_deref().is_some_and(|now| now != address);
        // The sender is in `self`: it outlives this.
        let _ = addresses.wait_for(elsewhere).await;
    }

    async fn find(&self) -> Result<(Arc<str>, Client), RedisError> {
        let client = match &self.place {
            Place::Fixed(client) => Client::clone(client),
            Place::Cluster { shown, .. } => {
                let text = format!("no single Redis leads {shown}");
                return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text).into());
            }
            Place::Sentinels { client, shown } => {
                let mut sentinels = client.lock().await;
                let none = |cause: String| {
                    let text = format!("no primary of {shown} can be found: {cause}");
                    RedisError::from(std::io::Error::new(std::io::ErrorKind::NotConnected, text))
                };
                // It asks for the ROLE of the node, too: a Sentinel may not have heard the latest.
                // Boxed because the future is large, and part of every command's.
                let look = Box::pin(sentinels.async_get_client());
                match timeout(LOOK_LIMIT, look).await {
                    Ok(Ok(client)) => client,
                    Ok(Err(error)) => return Err(none(error.to_string())),
                    Err(_) => return Err(none("no answer in time".into())),
                }
            }
        };
        let address: Arc<str> = client.get_connection_info().addr().to_string().into();
        self.note(&address);
        Ok((address, client))
    }

    fn note(&self, address: &Arc<str>) {
        self.address.send_if_modified(|known| {
            let before = known.replace(address.clone());
            if before.as_ref().is_some_and(|before| before != address) {
                tracing::warn!(
                    from = before.as_deref(),
                    to = &**address,
                    "another Redis leads"
                );
            }
            before.as_ref() != Some(address)
        });
    }
}

/// Asks the Sentinels from time to time: a primary that was only away for a while still takes writes
/// when it comes back, until they demote it.
async fn watch_for_changes(primary: Weak<Primary>) {
    let mut found = true;
    loop {
        sleep(LOOK_INTERVAL).await;
        let Some(primary) = primary.upgrade() else {
            return;
        };
        let outcome = primary.find().await;
        match &outcome {
            Ok(_) if !found => tracing::info!("the Sentinels name a primary again"),
            Err(error) if found => tracing::warn!(%error, "asking the Sentinels every second"),
            _ => {}
        }
        found = outcome.is_ok();
    }
}
