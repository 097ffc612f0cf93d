//! What an operator may want to know of a Redis, beside what keeps a service from being ready.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use redis::{Value, cluster::NodeAddress};

use crate::{
    doctor::permissions::Role,
    doctor::readiness::{Finding, Severity, field},
    error::StoreError,
    live::Live,
    log::read::Store,
    redis::connection::Redis,
};

/// How many times Redis is asked for a sign of life.
const ROUND_TRIPS: usize = 50;
/// An append takes at least one round trip: more than this is said.
const SLOW: Duration = Duration::from_millis(5);
/// Retention and times go by several clocks.
const CLOCKS_APART: f64 = 5.0;
/// A replica that is further behind than this, in seconds, is said.
const BEHIND: u64 = 10;
/// How full memory may be, in percent, until that is said.
const FULL: u64 = 80;
/// What a gateway's live connection may fall behind by, at least, until Redis ends it.
const BUFFER: u64 = 8 * 1024 * 1024;

impl Redis {
    /// Looks closer at every server: memory, persistence, replicas, round trips, clocks, channels. `users` are asked for what
    /// their service has to do.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn checkup(&self, users: &[(Role, &str)]) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for primary in self.primaries().await? {
            let primary = primary.as_ref();
            let mut found = match self.round_trips(primary).await {
                Ok(found) => vec![found],
                // That it is away is said by who looks whether services can be ready.
                Err(StoreError::Unavailable(_)) if primary.is_some() => continue,
                Err(error) => return Err(error),
            };
            let info = redis::cmd("INFO");
            if let Ok(info) = self.query_of::<String>(primary, &info).await {
                found.extend([memory(&info), persistence(&info)]);
                found.extend(replicas(&info));
            }
            found.extend(self.output_buffer(primary).await);
            for (role, user) in users {
                found.push(self.may(primary, *role, user).await);
            }
            let server = primary.map(ToString::to_string);
            findings.extend(found.into_iter().map(|it| it.of(server.clone())));
        }
        findings.push(self.clock().await?);
        findings.push(self.hears_itself().await);
        findings.extend(self.user().await);
        Ok(findings)
    }

    async fn round_trips(&self, primary: Option<&NodeAddress>) -> Result<Finding, StoreError> {
        let ping = redis::cmd("PING");
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let sent = Instant::now();
            self.query_of::<Value>(primary, &ping).await?;
            times.push(sent.elapsed());
        }
        times.sort_unstable();
        let (median, slowest) = (times[ROUND_TRIPS / 2], times[ROUND_TRIPS - 1]);
        let severity = warning_if(median > SLOW);
        let is = format!("{median:.1?} in the middle, {slowest:.1?} at most");
        let advice = "each append waits for at least one: bring services and Redis closer, and see `redis-cli --latency` and SLOWLOG GET";
        Ok(Finding::new("round trip", severity, is, advice))
    }

    /// How much Redis keeps for a gateway that is slow, before it ends the live connection.
    async fn output_buffer(&self, primary: Option<&NodeAddress>) -> Option<Finding> {
        let mut get = redis::cmd("CONFIG");
        get.arg("GET").arg("client-output-buffer-limit");
        // Many hide it, and to most users it is not allowed.
        let answer: HashMap<String, String> = self.query_of(primary, &get).await.ok()?;
        let limits = answer.into_values().next()?;
        let mut words = limits
            .split(' ')
            .skip_while(|word| *word != "pubsub")
            .skip(1);
        let hard: u64 = words.next()?.parse().ok()?;
        let is = format!(
            "{} for pubsub",
            if hard == 0 {
                "unlimited".into()
            } else {
                bytes(hard)
            }
        );
        let advice = "a gateway that is held up for a moment is cut off and reads the logs again: CONFIG SET client-output-buffer-limit 'pubsub 32mb 8mb 60'";
        let severity = warning_if(hard > 0 && hard < BUFFER);
        Some(Finding::new("output buffer", severity, is, advice))
    }

    /// Whether a user may do what its service has to.
    async fn may(&self, primary: Option<&NodeAddress>, role: Role, user: &str) -> Finding {
        let advice = "give it what the user of that service has in deploy/redis/users.acl";
        let mut refused = Vec::new();
        for command in role.commands(self.is_cluster()) {
            let mut dry_run = redis::cmd("ACL");
            dry_run.arg("DRYRUN").arg(user).arg(*command);
            match self.query_of::<String>(primary, &dry_run).await {
                Ok(answer) if answer == "OK" => {}
                Ok(_) => refused.push(command[0]),
                Err(error) => {
                    let is = format!("{user} was not looked at: {error}");
                    let advice = "it takes Redis 7 or Valkey, a user of that name, and leave to run ACL DRYRUN";
                    return Finding::new("user", Severity::Warning, is, advice);
                }
            }
        }
        refused.dedup();
        if refused.is_empty() {
            let is = format!("{user} may do all that the {role} does");
            return Finding::new("user", Severity::Good, is, advice);
        }
        let is = format!(
            "{user} may not do what the {role} does: {}",
            refused.join(", ")
        );
        Finding::new("user", Severity::Failure, is, advice)
    }

    /// As whom this is asked.
    async fn user(&self) -> Option<Finding> {
        let mut who = redis::cmd("ACL");
        let who: String = self.query(who.arg("WHOAMI")).await.ok()?;
        let severity = warning_if(who == "default");
        let advice = "give each service a user of its own, with a password: deploy/redis/users.acl";
        Some(Finding::new(
            "user",
            severity,
            format!("this is {who}"),
            advice,
        ))
    }

    async fn clock(&self) -> Result<Finding, StoreError> {
        let clocks = Store::new(self.clone()).clocks().await?;
        let ahead = clocks.ahead().as_secs_f64();
        let is = match ahead {
            ahead if ahead.abs() < 0.1 => "the same as here".into(),
            ahead if ahead > 0.0 => format!("{ahead:.1} s behind this machine's"),
            ahead => format!("{:.1} s ahead of this machine's", -ahead),
        };
        let severity = warning_if(ahead.abs() > CLOCKS_APART);
        let advice = "nothing is removed too early, but times in the history do not agree: let NTP keep both clocks";
        Ok(Finding::new("clock", severity, is, advice))
    }

    /// Whether a message to a channel comes back.
    async fn hears_itself(&self) -> Finding {
        let (live, _events) = Live::start(self.clone(), 1);
        let began = Instant::now();
        let limit = self.settings().response_timeout + self.settings().connect_timeout;
        while !live.hears() {
            if began.elapsed() > limit {
                let advice = "gateways are not ready without it: allow SUBSCRIBE and PUBLISH on ltm:* (SSUBSCRIBE and SPUBLISH on a cluster)";
                let is = "a message does not come back".into();
                return Finding::new("pub/sub", Severity::Failure, is, advice);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Finding::new("pub/sub", Severity::Good, "a message comes back".into(), "")
    }
}

fn warning_if(wrong: bool) -> Severity {
    match wrong {
        true => Severity::Warning,
        false => Severity::Good,
    }
}

fn number(info: &str, name: &str) -> Option<u64> {
    field(info, name)?.parse().ok()
}

fn memory(info: &str) -> Finding {
    let (used, most) = (number(info, "used_memory"), number(info, "maxmemory"));
    let used = used.unwrap_or(0);
    let (severity, is, advice) = match most {
        None | Some(0) => (
            Severity::Warning,
            format!("{}, without a limit", bytes(used)),
            "the system may end Redis when memory is full, where a limit would refuse writes: CONFIG SET maxmemory to half of the machine's",
        ),
        Some(most) => (
            warning_if(used > most / 100 * FULL),
            format!("{} of {}", bytes(used), bytes(most)),
            "writes are refused when it is full: raise maxmemory, or keep less (retention.*)",
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
    let advice = "is the disk full, or not writable? What is written now may not outlive a restart, or is refused";
    Finding::new("persistence", Severity::Failure, failed.join(", "), advice)
}

/// Replicas that are behind, if there are replicas.
fn replicas(info: &str) -> Option<Finding> {
    let lines = (0..).map_while(|n| field(info, &format!("slave{n}")));
    let lags: Vec<u64> = lines
        .filter_map(|line| line.rsplit_once("lag=")?.1.parse().ok())
        .collect();
    let most = *lags.iter().max()?;
    let advice =
        "a failover to it loses more than the last moment: see its log, and the network between";
    let is = format!("{} replicas, {most} s behind at most", lags.len());
    Some(Finding::new(
        "replicas",
        warning_if(most > BEHIND),
        is,
        advice,
    ))
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
    fn full_memory_failed_writes_and_late_replicas_are_said() {
        let full = memory("used_memory:900000000\r\nmaxmemory:1000000000\r\n");
        assert_eq!(full.severity, Severity::Warning);
        assert_eq!(full.is, "858.3 MiB of 953.7 MiB");
        let fine = memory("used_memory:100\r\nmaxmemory:1000000000\r\n");
        assert_eq!(fine.severity, Severity::Good);
        let failed = persistence("aof_last_write_status:err\r\nrdb_last_bgsave_status:ok\r\n");
        assert_eq!(failed.severity, Severity::Failure);
        assert_eq!(failed.is, "aof_last_write_status err");
        let info = "slave0:ip=a,port=1,state=online,offset=1,lag=0\r\nslave1:ip=b,port=1,state=online,offset=1,lag=60\r\n";
        let late = replicas(info).unwrap();
        assert_eq!(late.severity, Severity::Warning);
        assert_eq!(late.is, "2 replicas, 60 s behind at most");
        assert!(replicas("role:master").is_none());
    }
}
