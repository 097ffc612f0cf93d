//! Looking at how Redis is set up: whether the promises can hold on it.

use std::sync::{Arc, Mutex, PoisonError};

use redis::cluster::NodeAddress;
use serde::Serialize;

use crate::{
    error::{StoreError, is_transient},
    redis::connection::Redis,
    redis::script,
    redis::settings::RedisSettings,
};

/// The oldest Redis that has all commands that are used.
const OLDEST: (u64, u64) = (6, 2);
/// The same for a cluster: sharded channels came then.
const OLDEST_CLUSTER: (u64, u64) = (7, 0);

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Good,
    /// It works; something can be better, or could not be looked at.
    Warning,
    /// A promise cannot hold: a service is not ready.
    Failure,
}

/// One thing about Redis that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, as Redis calls it.
    pub check: &'static str,
    /// What it means.
    pub severity: Severity,
    /// How it is.
    pub is: String,
    /// How it should be, and how to get there.
    pub advice: &'static str,
    /// Which one of a cluster it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

impl Finding {
    /// One that is about no certain server.
    pub fn new(check: &'static str, severity: Severity, is: String, advice: &'static str) -> Self {
        Self {
            check,
            severity,
            is,
            advice,
            server: None,
        }
    }

    /// The same about one of a cluster's servers.
    pub(crate) fn of(self, server: Option<String>) -> Self {
        Self { server, ..self }
    }

    /// For a log or a problem.
    pub fn sentence(&self) -> String {
        let server = self.server.iter().map(|server| format!(" {server}"));
        let server: String = server.collect();
        let Self {
            check, is, advice, ..
        } = self;
        format!("Redis{server}'s {check} is {is}: {advice}")
    }
}

/// Looks at a Redis from time to time; clones share what they saw.
#[derive(Clone)]
pub struct Inspector {
    redis: Redis,
    warned: Arc<Mutex<Vec<Finding>>>,
}

impl Inspector {
    /// One for this Redis. Nothing is sent yet.
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            warned: Arc::default(),
        }
    }

    /// Everything that was looked at, as it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], and [`StoreError::Rejected`] if the login fails.
    pub async fn findings(&self) -> Result<Vec<Finding>, StoreError> {
        let primaries = self.redis.primaries().await?;
        let (mut findings, mut away) = (Vec::new(), None);
        for primary in &primaries {
            let found = match self.of(primary.as_ref()).await {
                Ok(found) => found,
                Err(error @ StoreError::Unavailable(_)) => {
                    let found = vec![unreachable(&error)];
                    away = Some(error);
                    found
                }
                Err(error) => return Err(error),
            };
            let server = primary.as_ref().map(ToString::to_string);
            findings.extend(found.into_iter().map(|it| it.of(server.clone())));
        }
        match away {
            Some(error) if findings.len() == primaries.len() => return Err(error),
            _ => findings.push(self.scripts().await),
        }
        Ok(findings)
    }

    /// Whether the scripts that read and write logs run.
    async fn scripts(&self) -> Finding {
        let keys = ["log", "meta", "deleted"].map(|part| format!("ltm:{{0}}:{part}"));
        let mut call = script::READ.call(&keys.each_ref().map(String::as_str));
        call.arg("0-0").arg(0).arg(0);
        let (severity, is) = match script::READ.run(&self.redis, &call).await {
            Ok(_) => (Severity::Good, "run".into()),
            // Of a cluster: the server that would run this one, of many, is away.
            Err(error) if is_transient(&error) && self.redis.is_cluster() => {
                (Severity::Warning, format!("not run: {error}"))
            }
            Err(error) => (Severity::Failure, format!("refused: {error}")),
        };
        let advice = "must run, or no log can be read or written: allow EVALSHA and SCRIPT LOAD on ltm:{*}:* to this user";
        Finding::new("scripts", severity, is, advice)
    }

    /// What there is to say about one of the servers.
    async fn of(&self, primary: Option<&NodeAddress>) -> Result<Vec<Finding>, StoreError> {
        let cmd = redis::cmd("INFO");
        let info = self.redis.query_of::<String>(primary, &cmd);
        match info.await {
            Ok(info) => Ok(judge(&info, self.redis.settings())),
            Err(error) if error.code() == Some("NOPERM") => {
                self.redis.ping().await?;
                Ok(vec![Finding::new(
                    "INFO",
                    Severity::Warning,
                    "refused".into(),
                    "allow it to this user (ACL: +info), so that version, eviction and persistence can be checked",
                )])
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Fails where a promise cannot hold, and says what to change. New warnings go to the log.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub async fn ready(&self) -> Result<(), String> {
        let findings = self.findings().await.map_err(|e| e.to_string())?;
        let with = |severity| findings.iter().filter(move |it| it.severity == severity);
        self.warn(with(Severity::Warning).cloned().collect());
        let failures: Vec<String> = with(Severity::Failure).map(Finding::sentence).collect();
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failures.join("; ")),
        }
    }

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

fn judge(info: &str, settings: &RedisSettings) -> Vec<Finding> {
    let of = |check, value: Option<&str>, bad: Severity, advice, good: &dyn Fn(&str) -> bool| {
        let severity = match value {
            None => Severity::Warning,
            Some(value) if good(value) => Severity::Good,
            Some(_) => bad,
        };
        Finding::new(check, severity, value.unwrap_or("not shown").into(), advice)
    };
    let (oldest, version_advice, cluster_advice) = if settings.is_cluster() {
        (
            OLDEST_CLUSTER,
            "must be 7.0 or newer, or any Valkey",
            "must be 1: leave redis.cluster_nodes out for a Redis that is no cluster",
        )
    } else {
        (
            OLDEST,
            "must be 6.2 or newer, or any Valkey",
            "must be 0: name some of the nodes of a cluster in redis.cluster_nodes",
        )
    };
    let unlimited = field(info, "maxmemory") == Some("0");
    let no_file = match settings.require_append_only {
        true => Severity::Failure,
        false => Severity::Warning,
    };
    let replicas = |have: &str| {
        let have = have.parse::<u32>();
        have.is_ok_and(|have| have >= settings.wait_replicas)
    };
    vec![
        of(
            "redis_version",
            field(info, "redis_version"),
            Severity::Failure,
            version_advice,
            &|version| is_new_enough(version, oldest),
        ),
        of(
            "cluster_enabled",
            field(info, "cluster_enabled"),
            Severity::Failure,
            cluster_advice,
            &|enabled| (enabled == "1") == settings.is_cluster(),
        ),
        of(
            "role",
            field(info, "role"),
            Severity::Failure,
            "must be master, because a replica takes no writes; let redis.url name the master, or set redis.sentinels",
            &|role| role == "master",
        ),
        of(
            "maxmemory_policy",
            field(info, "maxmemory_policy"),
            Severity::Failure,
            "must be noeviction, or full memory loses logs: CONFIG SET maxmemory-policy noeviction",
            &|policy| unlimited || policy == "noeviction",
        ),
        of(
            "aof_enabled",
            field(info, "aof_enabled"),
            no_file,
            "must be 1, or a restart loses logs: CONFIG SET appendonly yes; where replicas alone keep them, set redis.require_append_only=false",
            &|enabled| enabled == "1",
        ),
        of(
            "connected_slaves",
            field(info, "connected_slaves"),
            Severity::Warning,
            "must be redis.wait_replicas or more, or writes are not acknowledged",
            &replicas,
        ),
    ]
}

/// Valkey says as `redis_version` which Redis it is compatible with.
fn is_new_enough(version: &str, oldest: (u64, u64)) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= oldest
}

/// What there is to say about a server of a cluster that cannot be asked.
fn unreachable(error: &StoreError) -> Finding {
    let advice = "its LTMs are out of reach until it is back, or a replica takes its place";
    Finding::new(
        "INFO",
        Severity::Warning,
        format!("not had: {error}"),
        advice,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severities(info: &str) -> Vec<Severity> {
        let findings = judge(info, &RedisSettings::default());
        findings.into_iter().map(|it| it.severity).collect()
    }

    #[test]
    fn an_old_redis_fails_and_what_is_not_shown_is_a_warning() {
        use Severity::{Failure, Good, Warning};
        let found = severities("redis_version:6.0.16\r\nrole:slave\r\nmaxmemory:0\r\n");
        assert_eq!(
            found,
            [Failure, Warning, Failure, Warning, Warning, Warning]
        );
        let found = severities("redis_version:6.2.0\r\ncluster_enabled:0\r\nrole:master\r\n");
        assert_eq!(found[..3], [Good; 3]);
        assert!(is_new_enough("7.2.4", OLDEST) && is_new_enough("10.0.0", OLDEST));
    }
}
