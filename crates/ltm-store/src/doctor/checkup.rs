//! Checks that an operator wants to see beside readiness: latency, memory, persistence, replicas, clocks, pub/sub
//! and users.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use redis::{Value, cluster::NodeAddress};

use crate::{
    doctor::permissions::{LIVE, Role},
    doctor::readiness::{Finding, Severity, field},
    error::StoreError,
    live::Live,
    log::read::Store,
    redis::client::Redis,
};

/// The number of round trips that are measured.
const ROUND_TRIPS: usize = 50;
/// A longer median round trip is a warning: an append takes at least one round trip.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(5);
/// A larger difference between clocks, in seconds, is a warning.
const MAX_CLOCK_DIFFERENCE: f64 = 5.0;
/// A replica that is further behind, in seconds, is a warning.
const MAX_REPLICA_LAG: u64 = 10;
/// More memory in use, in percent of `maxmemory`, is a warning.
const MAX_MEMORY_PERCENT: u64 = 80;
/// A smaller output buffer for the live connection of a gateway is a warning.
const MIN_OUTPUT_BUFFER: u64 = 8 * 1024 * 1024;

impl Redis {
    /// Checks memory, persistence, replicas, round trips and pub/sub of every server, and the clocks. Also checks
    /// that each of `users` may run the commands of its role.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn checkup(&self, users: &[(Role, &str)]) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for primary in self.primaries().await? {
            let primary = primary.as_ref();
            let found = match self.check_server(primary, users).await {
                Ok(found) => found,
                // The readiness check reports a server that is down.
                Err(StoreError::Unavailable(_)) if primary.is_some() => continue,
                Err(error) => return Err(error),
            };
            let server = primary.map(ToString::to_string);
            findings.extend(found.into_iter().map(|it| it.of(server.clone())));
        }
        findings.push(self.clock().await?);
        findings.push(self.pubsub().await);
        findings.extend(self.own_user().await);
        Ok(findings)
    }

    async fn check_server(
        &self,
        primary: Option<&NodeAddress>,
        users: &[(Role, &str)],
    ) -> Result<Vec<Finding>, StoreError> {
        let mut found = vec![self.round_trips(primary).await?];
        let info = redis::cmd("INFO");
        if let Ok(info) = self.query_on::<String>(primary, &info).await {
            found.extend([memory(&info), persistence(&info)]);
            found.extend(replicas(&info));
        }
        found.extend(self.output_buffer(primary).await);
        for (role, user) in users {
            found.push(self.permissions(primary, *role, user).await);
        }
        Ok(found)
    }

    async fn round_trips(&self, primary: Option<&NodeAddress>) -> Result<Finding, StoreError> {
        let ping = redis::cmd("PING");
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let sent = Instant::now();
            self.query_on::<Value>(primary, &ping).await?;
            times.push(sent.elapsed());
        }
        times.sort_unstable();
        let (median, slowest) = (times[ROUND_TRIPS / 2], times[ROUND_TRIPS - 1]);
        let severity = warning_if(median > MAX_ROUND_TRIP);
        let is = format!("median {median:.1?}, maximum {slowest:.1?}");
        let advice = "every append takes at least one round trip: move services and Redis closer together; see `redis-cli --latency` and SLOWLOG GET";
        Ok(Finding::new("round trip", severity, is, advice))
    }

    /// How far a gateway may fall behind before Redis closes its live connection.
    async fn output_buffer(&self, primary: Option<&NodeAddress>) -> Option<Finding> {
        let mut get = redis::cmd("CONFIG");
        get.arg("GET").arg("client-output-buffer-limit");
        // Many managed services hide CONFIG, and most users may not run it.
        let answer: HashMap<String, String> = self.query_on(primary, &get).await.ok()?;
        let limits = answer.into_values().next()?;
        let mut words = limits
            .split(' ')
            .skip_while(|word| *word != "pubsub")
            .skip(1);
        let hard: u64 = words.next()?.parse().ok()?;
        let limit = if hard == 0 {
            "unlimited".into()
        } else {
            bytes(hard)
        };
        let advice = "Redis disconnects a gateway that is further behind, and the gateway reads the logs again: CONFIG SET client-output-buffer-limit 'pubsub 32mb 8mb 60'";
        let severity = warning_if(hard > 0 && hard < MIN_OUTPUT_BUFFER);
        let is = format!("{limit} for pubsub");
        Some(Finding::new("output buffer", severity, is, advice))
    }

    /// Whether a user may run the commands of its role.
    async fn permissions(&self, primary: Option<&NodeAddress>, role: Role, user: &str) -> Finding {
        let live = LIVE.replace(":0:", &format!(":{}:", self.database()));
        let mut denied = Vec::new();
        for command in role.commands(self.is_cluster()) {
            let mut dry_run = redis::cmd("ACL");
            dry_run.arg("DRYRUN").arg(user);
            for &word in *command {
                dry_run.arg(if word == LIVE { &*live } else { word });
            }
            match self.query_on::<String>(primary, &dry_run).await {
                Ok(answer) if answer == "OK" => {}
                Ok(_) => denied.push(command[0]),
                Err(error) => {
                    let is = format!("{user} cannot be checked: {error}");
                    let advice = "this check needs Redis 7 or Valkey, an existing user, and the permission to run ACL DRYRUN";
                    return Finding::new("user", Severity::Warning, is, advice);
                }
            }
        }
        denied.dedup();
        if denied.is_empty() {
            let is = format!("{user} may run all commands of the {role}");
            return Finding::new("user", Severity::Good, is, "");
        }
        let is = format!(
            "{user} may not run these commands of the {role}: {}",
            denied.join(", ")
        );
        let advice = "give the user the permissions that deploy/redis/users.acl gives to the user of that service";
        Finding::new("user", Severity::Failure, is, advice)
    }

    /// The user of this connection.
    async fn own_user(&self) -> Option<Finding> {
        let mut whoami = redis::cmd("ACL");
        let user: String = self.query(whoami.arg("WHOAMI")).await.ok()?;
        let severity = warning_if(user == "default");
        let is = format!("connected as {user}");
        let advice = "create a user for each service, with a password: deploy/redis/users.acl";
        Some(Finding::new("user", severity, is, advice))
    }

    async fn clock(&self) -> Result<Finding, StoreError> {
        let clocks = Store::new(self.clone()).clocks().await?;
        let ahead = clocks.ahead().as_secs_f64();
        let is = if ahead.abs() < 0.1 {
            "same as this machine's".into()
        } else if ahead > 0.0 {
            format!("{ahead:.1} s behind this machine's")
        } else {
            format!("{:.1} s ahead of this machine's", -ahead)
        };
        let severity = warning_if(ahead.abs() > MAX_CLOCK_DIFFERENCE);
        let advice = "retention removes nothing too early, but times in the history are inconsistent: synchronize both clocks (NTP)";
        Ok(Finding::new("clock", severity, is, advice))
    }

    /// Whether a message that is published on a channel is received.
    async fn pubsub(&self) -> Finding {
        let (live, _events) = Live::start(self.clone(), 1, 1);
        let began = Instant::now();
        let limit = self.settings().response_timeout + self.settings().connect_timeout;
        while !live.is_healthy() {
            if began.elapsed() > limit {
                let advice = "gateways are not ready without it: allow SUBSCRIBE and PUBLISH on ltm:* (on a cluster SSUBSCRIBE and SPUBLISH)";
                let is = "a published message is not received".into();
                return Finding::new("pub/sub", Severity::Failure, is, advice);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let is = "a published message is received".into();
        Finding::new("pub/sub", Severity::Good, is, "")
    }
}

fn warning_if(is_wrong: bool) -> Severity {
    if is_wrong {
        Severity::Warning
    } else {
        Severity::Good
    }
}

fn number(info: &str, name: &str) -> Option<u64> {
    field(info, name)?.parse().ok()
}

fn memory(info: &str) -> Finding {
    let used = number(info, "used_memory").unwrap_or(0);
    let (severity, is, advice) = match number(info, "maxmemory") {
        None | Some(0) => (
            Severity::Warning,
            format!("{}, maxmemory is not set", bytes(used)),
            "the system may kill Redis when memory is full; with a limit, Redis rejects writes instead: CONFIG SET maxmemory to half of the machine's memory",
        ),
        Some(max) => (
            warning_if(used > max / 100 * MAX_MEMORY_PERCENT),
            format!("{} of {}", bytes(used), bytes(max)),
            "Redis rejects writes when memory is full: raise maxmemory, or set retention to keep less",
        ),
    };
    Finding::new("memory", severity, is, advice)
}

fn persistence(info: &str) -> Finding {
    let states = [
        "aof_last_write_status",
        "aof_last_bgrewrite_status",
        "rdb_last_bgsave_status",
    ];
    let failed: Vec<String> = states
        .iter()
        .filter_map(|name| Some((name, field(info, name)?)))
        .filter(|(_, value)| *value != "ok")
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if failed.is_empty() {
        return Finding::new("persistence", Severity::Good, "ok".into(), "");
    }
    let advice = "Redis rejects writes, or a restart may lose them: check free space and permissions of its disk";
    Finding::new("persistence", Severity::Failure, failed.join(", "), advice)
}

/// How far the replicas are behind, if Redis has replicas.
fn replicas(info: &str) -> Option<Finding> {
    let lines = (0..).map_while(|n| field(info, &format!("slave{n}")));
    let lags: Vec<u64> = lines
        .filter_map(|line| line.rsplit_once("lag=")?.1.parse().ok())
        .collect();
    let max = *lags.iter().max()?;
    let noun = if lags.len() == 1 {
        "replica"
    } else {
        "replicas"
    };
    let is = format!("{} {noun}, at most {max} s behind", lags.len());
    let severity = warning_if(max > MAX_REPLICA_LAG);
    let advice =
        "a failover to a replica loses what the replica lacks: check its log and the network";
    Some(Finding::new("replicas", severity, is, advice))
}

fn bytes(count: u64) -> String {
    let mib = count as f64 / f64::from(1 << 20);
    if mib < 1024.0 {
        format!("{mib:.1} MiB")
    } else {
        format!("{:.1} GiB", mib / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_memory_failed_writes_and_lagging_replicas_are_reported() {
        let full = memory("used_memory:900000000\r\nmaxmemory:1000000000\r\n");
        assert_eq!(full.severity, Severity::Warning);
        assert_eq!(full.is, "858.3 MiB of 953.7 MiB");
        let fine = memory("used_memory:100\r\nmaxmemory:1000000000\r\n");
        assert_eq!(fine.severity, Severity::Good);
        let failed = persistence("aof_last_write_status:err\r\nrdb_last_bgsave_status:ok\r\n");
        assert_eq!(failed.severity, Severity::Failure);
        assert_eq!(failed.is, "aof_last_write_status err");
        let one = "slave0:ip=a,port=1,state=online,offset=1,lag=0\r\n";
        let fine = replicas(one).unwrap();
        assert_eq!(fine.severity, Severity::Good);
        assert_eq!(fine.is, "1 replica, at most 0 s behind");
        let two = format!("{one}slave1:ip=b,port=1,state=online,offset=1,lag=60\r\n");
        let lagging = replicas(&two).unwrap();
        assert_eq!(lagging.severity, Severity::Warning);
        assert_eq!(lagging.is, "2 replicas, at most 60 s behind");
        assert!(replicas("role:master").is_none());
    }
}
