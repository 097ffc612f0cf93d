//! Checks whether Redis is set up so that the services can keep their promises.

use std::sync::{Arc, Mutex, PoisonError};

use redis::cluster::NodeAddress;
use serde::Serialize;

use crate::{
    error::{StoreError, is_transient},
    redis::client::Redis,
    redis::script,
    redis::settings::RedisSettings,
};

/// The oldest Redis with all commands that the services use.
const OLDEST: (u64, u64) = (6, 2);
/// The oldest Redis Cluster with sharded pub/sub.
const OLDEST_CLUSTER: (u64, u64) = (7, 0);

/// More memory in use, in percent of `maxmemory`, is a warning.
const MAX_MEMORY_PERCENT: u64 = 90;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Good,
    /// The services work, but something can be better, or cannot be checked.
    Warning,
    /// The services cannot keep a promise. A service is not ready.
    Failure,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check; for a field of `INFO`, the field's name.
    pub check: &'static str,
    /// The severity of the result.
    pub severity: Severity,
    /// The result.
    pub is: String,
    /// The required result, and how to get it.
    pub advice: &'static str,
    /// In a cluster: the server that was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

impl Finding {
    /// A finding about Redis as a whole.
    pub fn new(check: &'static str, severity: Severity, is: String, advice: &'static str) -> Self {
        Self {
            check,
            severity,
            is,
            advice,
            server: None,
        }
    }

    /// The same finding about one server of a cluster.
    pub(crate) fn of(self, server: Option<String>) -> Self {
        Self { server, ..self }
    }

    /// A sentence for a log or a problem.
    pub fn sentence(&self) -> String {
        let server = self.server.iter().map(|server| format!(" {server}"));
        let server: String = server.collect();
        let Self {
            check, is, advice, ..
        } = self;
        format!("Redis{server}: {check} is {is}; {advice}")
    }
}

/// Checks Redis. Clones share the warnings that are already in the log.
#[derive(Clone)]
pub struct Inspector {
    redis: Redis,
    warned: Arc<Mutex<Vec<Finding>>>,
}

impl Inspector {
    /// An inspector of this Redis. Sends nothing yet.
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            warned: Arc::default(),
        }
    }

    /// Runs all checks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], and [`StoreError::Rejected`] if the login fails.
    pub async fn findings(&self) -> Result<Vec<Finding>, StoreError> {
        let primaries = self.redis.primaries().await?;
        let (mut findings, mut unavailable) = (Vec::new(), None);
        let mut memory = None;
        for primary in &primaries {
            let found = match self.check_server(primary.as_ref()).await {
                Ok((found, used)) => {
                    memory = fuller(memory, used);
                    found
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    let found = vec![unreachable(&error)];
                    unavailable = Some(error);
                    found
                }
                Err(error) => return Err(error),
            };
            let server = primary.as_ref().map(ToString::to_string);
            findings.extend(found.into_iter().map(|it| it.of(server.clone())));
        }
        if let Some((used, limit)) = memory {
            self.redis.metrics().memory(used, limit);
        }
        match unavailable {
            Some(error) if findings.len() == primaries.len() => return Err(error),
            _ => findings.push(self.scripts().await),
        }
        Ok(findings)
    }

    /// Whether this user may run the scripts that read and write logs.
    async fn scripts(&self) -> Finding {
        let keys = ["log", "meta", "deleted"].map(|part| format!("ltm:{{0}}:{part}"));
        let mut call = script::READ.call(&keys.each_ref().map(String::as_str));
        call.arg("0-0").arg(0).arg(0);
        let (severity, is) = match script::READ.run(&self.redis, &call).await {
            Ok(_) => (Severity::Good, "run".into()),
            // In a cluster, this can be the one server that is down.
            Err(error) if is_transient(&error) && self.redis.is_cluster() => {
                (Severity::Warning, format!("not checked: {error}"))
            }
            Err(error) => (Severity::Failure, format!("rejected: {error}")),
        };
        let advice = "without scripts no log can be read or written: allow this user to run EVALSHA and SCRIPT LOAD on ltm:{*}:*";
        Finding::new("scripts", severity, is, advice)
    }

    /// Checks one server.
    async fn check_server(
        &self,
        primary: Option<&NodeAddress>,
    ) -> Result<(Vec<Finding>, Memory), StoreError> {
        let cmd = redis::cmd("INFO");
        let info = self.redis.query_on::<String>(primary, &cmd);
        match info.await {
            Ok(info) => Ok((check_info(&info, self.redis.settings()), memory(&info))),
            Err(error) if error.code() == Some("NOPERM") => {
                self.redis.ping().await?;
                let finding = Finding::new(
                    "INFO",
                    Severity::Warning,
                    "rejected".into(),
                    "allow this user to run it (ACL: +info), so that version, eviction and persistence can be checked",
                );
                Ok((vec![finding], None))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Checks whether a service can be ready. Logs new warnings, and returns all of them.
    ///
    /// # Errors
    ///
    /// A text with all failures, and with advice.
    pub async fn ready(&self) -> Result<Vec<String>, String> {
        let findings = self.findings().await.map_err(|e| e.to_string())?;
        let with = |severity| findings.iter().filter(move |it| it.severity == severity);
        self.warn(with(Severity::Warning).cloned().collect());
        let failures: Vec<String> = with(Severity::Failure).map(Finding::sentence).collect();
        if failures.is_empty() {
            Ok(with(Severity::Warning).map(Finding::sentence).collect())
        } else {
            Err(failures.join("; "))
        }
    }

    /// Logs the warnings that the last call did not log.
    fn warn(&self, warnings: Vec<Finding>) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings.iter().filter(|it| !warned.contains(it)) {
            tracing::warn!("{}", warning.sentence());
        }
        *warned = warnings;
    }
}

/// The value of a field of `INFO`.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    info.lines().find_map(value).map(str::trim)
}

/// A check of one field of `INFO`.
struct InfoCheck<'a> {
    field: &'static str,
    /// The severity if the value is wrong.
    severity: Severity,
    advice: &'static str,
    is_right: &'a dyn Fn(&str) -> bool,
}

impl InfoCheck<'_> {
    fn run(&self, info: &str) -> Finding {
        let value = field(info, self.field);
        let severity = match value {
            None => Severity::Warning,
            Some(value) if (self.is_right)(value) => Severity::Good,
            Some(_) => self.severity,
        };
        let is = value.unwrap_or("missing in INFO").into();
        Finding::new(self.field, severity, is, self.advice)
    }
}

/// Checks the answer to `INFO`.
fn check_info(info: &str, settings: &RedisSettings) -> Vec<Finding> {
    let is_cluster = settings.is_cluster();
    let is_unlimited = field(info, "maxmemory") == Some("0");
    let has_replicas = |count: &str| {
        let count = count.parse::<u32>();
        count.is_ok_and(|count| count >= settings.wait_replicas)
    };
    let checks = [
        version_check(is_cluster),
        cluster_check(is_cluster),
        InfoCheck {
            field: "role",
            severity: Severity::Failure,
            advice: "it must be master, because a replica rejects writes: set redis.url to the primary, or set redis.sentinels",
            is_right: &|role| role == "master",
        },
        InfoCheck {
            field: "maxmemory_policy",
            severity: Severity::Failure,
            advice: "it must be noeviction, or Redis deletes logs when memory is full: CONFIG SET maxmemory-policy noeviction",
            is_right: &|policy| is_unlimited || policy == "noeviction",
        },
        InfoCheck {
            field: "aof_enabled",
            severity: if settings.require_append_only {
                Severity::Failure
            } else {
                Severity::Warning
            },
            advice: "it must be 1, or a restart loses logs: CONFIG SET appendonly yes; if only replicas keep the data, set redis.require_append_only=false",
            is_right: &|enabled| enabled == "1",
        },
        InfoCheck {
            field: "connected_slaves",
            severity: Severity::Warning,
            advice: "it must be at least redis.wait_replicas, or no write is acknowledged: connect more replicas",
            is_right: &has_replicas,
        },
    ];
    let fullness = fullness(info);
    checks
        .iter()
        .map(|check| check.run(info))
        .chain(fullness)
        .collect()
}

/// The memory in use, and `maxmemory` (0: no limit), in bytes; `None` if `INFO` does not say.
type Memory = Option<(u64, u64)>;

/// The memory of the server that has less left.
fn fuller(one: Memory, other: Memory) -> Memory {
    let (Some((used, limit)), Some((other_used, other_limit))) = (one, other) else {
        return one.or(other);
    };
    let product = |used: u64, limit: u64| u128::from(used) * u128::from(limit);
    // `used / limit` of both, without a division by 0: without a limit there is room.
    let is_fuller = limit == 0 || product(other_used, limit) > product(used, other_limit);
    if other_limit > 0 && is_fuller {
        other
    } else {
        one
    }
}

fn memory(info: &str) -> Memory {
    let number = |name| field(info, name)?.parse().ok();
    Some((number("used_memory")?, number("maxmemory")?))
}

/// A warning if Redis has little memory left.
fn fullness(info: &str) -> Option<Finding> {
    let (used, limit) = memory(info)?;
    let is_nearly_full =
        limit > 0 && u128::from(used) * 100 > u128::from(limit) * u128::from(MAX_MEMORY_PERCENT);
    is_nearly_full.then(|| {
        let advice =
            "when it is full, writes are refused: raise maxmemory, delete LTMs, or set retention";
        let is = format!("over {MAX_MEMORY_PERCENT} % of maxmemory");
        Finding::new("used_memory", Severity::Warning, is, advice)
    })
}

fn version_check(is_cluster: bool) -> InfoCheck<'static> {
    let (advice, is_right): (_, &dyn Fn(&str) -> bool) = if is_cluster {
        (
            "a cluster must be Redis 7.0 or newer, or any Valkey: upgrade it",
            &|version| is_new_enough(version, OLDEST_CLUSTER),
        )
    } else {
        (
            "it must be 6.2 or newer, or any Valkey: upgrade Redis",
            &|version| is_new_enough(version, OLDEST),
        )
    };
    InfoCheck {
        field: "redis_version",
        severity: Severity::Failure,
        advice,
        is_right,
    }
}

fn cluster_check(is_cluster: bool) -> InfoCheck<'static> {
    let (advice, is_right): (_, &dyn Fn(&str) -> bool) = if is_cluster {
        (
            "it must be 1: leave redis.cluster_nodes empty if Redis is not a cluster",
            &|enabled| enabled == "1",
        )
    } else {
        (
            "it must be 0: set redis.cluster_nodes if Redis is a cluster",
            &|enabled| enabled == "0",
        )
    };
    InfoCheck {
        field: "cluster_enabled",
        severity: Severity::Failure,
        advice,
        is_right,
    }
}

/// Whether a version is new enough. In Valkey, `redis_version` is the version of Redis that it is compatible with.
fn is_new_enough(version: &str, oldest: (u64, u64)) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= oldest
}

/// The finding about a server of a cluster that does not answer.
fn unreachable(error: &StoreError) -> Finding {
    let advice = "its LTMs are unavailable until it is back, or a replica takes over";
    let is = format!("not available: {error}");
    Finding::new("INFO", Severity::Warning, is, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_server_of_a_cluster_counts() {
        let servers = [
            Some((50, 100)),
            None,
            Some((900, 0)),
            Some((30, 40)),
            Some((1, 2)),
        ];
        assert_eq!(servers.into_iter().fold(None, fuller), Some((30, 40)));
    }

    fn severities(info: &str) -> Vec<Severity> {
        let findings = check_info(info, &RedisSettings::default());
        findings.into_iter().map(|it| it.severity).collect()
    }

    #[test]
    fn an_old_redis_fails_and_a_missing_field_is_a_warning() {
        use Severity::{Failure, Good, Warning};
        let found = severities("redis_version:6.0.16\r\nrole:slave\r\nmaxmemory:0\r\n");
        assert_eq!(
            found,
            [Failure, Warning, Failure, Warning, Warning, Warning]
        );
        let found = severities("redis_version:6.2.0\r\ncluster_enabled:0\r\nrole:master\r\n");
        assert_eq!(found[..3], [Good; 3]);
        let found = severities("used_memory:91\r\nmaxmemory:100\r\n");
        assert_eq!(found.len(), 7);
        let found = severities("used_memory:89\r\nmaxmemory:100\r\n");
        assert_eq!(found.len(), 6);
        assert!(is_new_enough("7.2.4", OLDEST) && is_new_enough("10.0.0", OLDEST));
    }
}
