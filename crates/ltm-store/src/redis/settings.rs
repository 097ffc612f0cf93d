//! The settings of the connection to Redis.

use std::{path::PathBuf, time::Duration};

use ltm_settings::{SettingError, check_wait, duration, shown_node, shown_url, within};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    cluster::NodeAddress, io::tcp::TcpSettings,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::StoreError;

/// The Redis that holds the logs, and how long the services wait for it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// The URL of Redis: `redis://[user:password@]host:port/db`, `rediss://…` for TLS, or `redis+unix:///path?db=0` for
    /// a Unix socket. With `redis.sentinels` the URL supplies only user, password, TLS and database; with
    /// `redis.cluster_nodes` only user, password and TLS.
    ///
    /// Set it in every deployment.
    #[serde(serialize_with = "masked")]
    pub url: String,
    /// A PEM file with the certificate authorities that sign the certificate of Redis. Empty: the authorities of the
    /// system.
    ///
    /// Set it if a private authority signs the certificate of Redis.
    pub tls_ca_file: PathBuf,
    /// A PEM file with the certificate that the services present to Redis. Empty: none.
    ///
    /// Set it, with `redis.tls_key_file`, if Redis requires mutual TLS.
    pub tls_cert_file: PathBuf,
    /// A PEM file with the private key of `redis.tls_cert_file`.
    ///
    /// Set it with `redis.tls_cert_file`.
    pub tls_key_file: PathBuf,
    /// The Sentinels that name the primary: `redis://[user:password@]host:port`, or `rediss://…` for TLS.
    ///
    /// Set it, with `redis.sentinel_service`, if Sentinels manage your Redis. Name all of them: the services ask the
    /// next one if one does not answer.
    #[serde(deserialize_with = "ltm_settings::list", serialize_with = "all_masked")]
    pub sentinels: Vec<String>,
    /// The name that the Sentinels have for this group of Redis servers (`sentinel monitor <name> …`).
    ///
    /// Set it with `redis.sentinels`.
    pub sentinel_service: String,
    /// Some nodes of a Redis Cluster, as `host:port`. The services learn the other nodes from them.
    ///
    /// Set it if your Redis is a cluster. Name at least two nodes, so that the services start while one of them is
    /// down.
    #[serde(
        deserialize_with = "ltm_settings::list",
        serialize_with = "nodes_masked"
    )]
    pub cluster_nodes: Vec<String>,
    /// The longest wait for an answer of Redis.
    ///
    /// Raise it if a slow Redis or network makes requests fail with 503. It must be longer than `redis.wait_timeout`.
    #[serde(with = "duration")]
    pub response_timeout: Duration,
    /// The longest wait for a connection to Redis.
    ///
    /// Raise it if Redis is far away, or if TLS handshakes are slow.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// The number of replicas that must have a write before the API acknowledges it (`WAIT`). 0: the primary alone is
    /// enough.
    ///
    /// Raise it if a failover must not lose an acknowledged write. Writes fail with 503 while fewer replicas are
    /// connected.
    pub wait_replicas: u32,
    /// The longest wait for `redis.wait_replicas`. It must be shorter than `redis.response_timeout`.
    ///
    /// Raise it if replicas are slow to confirm writes.
    #[serde(with = "duration")]
    pub wait_timeout: Duration,
    /// The most LTMs that the services read for one page of a list. A page whose filter shows fewer of them is shorter, and
    /// names the place where the next page begins.
    ///
    /// Raise it if clients that combine filters need too many requests to find their LTMs. Each LTM costs Redis a few
    /// microseconds.
    pub list_reads: usize,
    /// Whether a service reports that it is not ready if Redis writes no append-only file.
    ///
    /// Set it to `false` if only replicas keep your data safe, as with many managed services.
    pub require_append_only: bool,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".into(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            sentinels: Vec::new(),
            sentinel_service: String::new(),
            cluster_nodes: Vec::new(),
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            wait_replicas: 0,
            wait_timeout: Duration::from_secs(1),
            list_reads: 4096,
            require_append_only: true,
        }
    }
}

/// How Redis is deployed.
pub(crate) enum Deployment {
    /// One server.
    Single,
    /// A primary that Sentinels name.
    Sentinels,
    /// A Redis Cluster.
    Cluster,
}

/// Serializes a URL without its secrets, because serialized settings are for people.
fn masked<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown_url(url))
}

fn all_masked<S: Serializer>(urls: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(urls.iter().map(|url| shown_url(url)))
}

fn nodes_masked<S: Serializer>(nodes: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nodes.iter().map(|node| shown_node(node)))
}

impl RedisSettings {
    /// Rejects values that are out of bounds.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        check_wait("redis.response_timeout", self.response_timeout)?;
        check_wait("redis.connect_timeout", self.connect_timeout)?;
        check_wait("redis.wait_timeout", self.wait_timeout)?;
        within("redis.list_reads", self.list_reads, 1..=usize::MAX)
    }

    /// The address of Redis for logs, without passwords.
    pub fn shown_address(&self) -> String {
        if !self.cluster_nodes.is_empty() {
            let nodes: Vec<String> = self.cluster_nodes.iter().map(|it| shown_node(it)).collect();
            return format!("the cluster of {}", nodes.join(", "));
        }
        if self.sentinels.is_empty() {
            return shown_url(&self.url);
        }
        let urls: Vec<String> = self.sentinels.iter().map(|it| shown_url(it)).collect();
        format!(
            "{:?} by the Sentinels {}",
            self.sentinel_service,
            urls.join(", ")
        )
    }

    /// How Redis is deployed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Setting`] if the settings contradict each other.
    pub(crate) fn deployment(&self) -> Result<Deployment, StoreError> {
        let invalid = |setting: &str, problem: &str| Err(StoreError::setting(setting, problem));
        let sentinels = match (self.sentinels.is_empty(), self.sentinel_service.is_empty()) {
            (true, true) => false,
            (false, false) => true,
            (true, false) => {
                return invalid(
                    "redis.sentinels",
                    "redis.sentinel_service is set, so list the Sentinels here, such as redis://host:26379",
                );
            }
            (false, true) => {
                return invalid(
                    "redis.sentinel_service",
                    "redis.sentinels is set, so set the name that follows `sentinel monitor` in their configuration",
                );
            }
        };
        match (sentinels, self.is_cluster()) {
            (false, false) => Ok(Deployment::Single),
            (true, false) => Ok(Deployment::Sentinels),
            (false, true) => Ok(Deployment::Cluster),
            (true, true) => invalid(
                "redis.sentinels",
                "redis.cluster_nodes is set, too; a Redis Cluster has no Sentinels, so remove one of the two",
            ),
        }
    }

    /// Whether it is a Redis Cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        !self.cluster_nodes.is_empty()
    }

    /// How to connect to each of the named nodes, with user, password and TLS of `url`.
    pub(crate) fn cluster_infos(&self) -> Result<Vec<ConnectionInfo>, StoreError> {
        let info = |node: &String| {
            let address: NodeAddress = node.parse().map_err(|_| {
                let problem = format!("{:?}: use host:port", shown_node(node));
                StoreError::setting("redis.cluster_nodes", problem)
            })?;
            self.info_of(&address)
        };
        self.cluster_nodes.iter().map(info).collect()
    }

    /// How to connect to one node of the cluster.
    pub(crate) fn info_of(&self, node: &NodeAddress) -> Result<ConnectionInfo, StoreError> {
        let info = self.connection_info()?;
        let (host, port) = (node.host().to_owned(), node.port());
        let invalid = |problem: &str| Err(StoreError::setting("redis.url", problem));
        if info.redis_settings().db() != 0 {
            return invalid("a Redis Cluster has only the database 0");
        }
        let address = match info.addr().clone() {
            ConnectionAddr::Tcp(..) => ConnectionAddr::Tcp(host, port),
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure,
                tls_params,
            },
            _ => {
                return invalid(
                    "with redis.cluster_nodes it must begin with redis:// or rediss://; only its user and password count",
                );
            }
        };
        Ok(info.set_addr(address))
    }

    pub(crate) fn connection_info(&self) -> Result<ConnectionInfo, StoreError> {
        let info = self.url.as_str().into_connection_info().map_err(|e| {
            StoreError::setting("redis.url", format!("{}: {e}", shown_url(&self.url)))
        })?;
        let redis = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        Ok(info
            .set_redis_settings(redis)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    }

    pub(crate) fn connection_config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sent_at_once() {
        let info = RedisSettings::default().connection_info().unwrap();
        assert!(info.tcp_settings().nodelay());
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://u:p@s@host:1/0", "redis://***@host:1/0"),
            ("redis://host:1/0", "redis://host:1/0"),
            ("p@ssword", "(not a URL)"),
        ] {
            let settings = RedisSettings {
                url: url.into(),
                ..RedisSettings::default()
            };
            assert_eq!(settings.shown_address(), shown);
        }
    }
}
