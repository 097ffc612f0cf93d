//! The commands that each service sends to Redis. Its user must be allowed to run them.

use std::fmt;

/// A service that uses Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `ltm-api`.
    Api,
    /// `ltm-gateway`.
    Gateway,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "API",
            Self::Gateway => "gateway",
        })
    }
}

impl Role {
    /// An example of each command that the service sends. A cluster needs a few more commands.
    pub(crate) fn commands(self, cluster: bool) -> impl Iterator<Item = &'static Command> {
        let (always, on_cluster) = match self {
            Self::Api => (API, API_ON_CLUSTER),
            Self::Gateway => (GATEWAY, GATEWAY_ON_CLUSTER),
        };
        let more = if cluster { on_cluster } else { &[] };
        always.iter().chain(more)
    }
}

/// The live channel in the commands; a service uses the channel of its database.
pub(crate) const LIVE: &str = "ltm:0:{1}:live";

/// A command and its arguments.
pub(crate) type Command = &'static [&'static str];

const API: &[Command] = &[
    &["INFO"],
    &["TIME"],
    &["PING"],
    &["SCRIPT", "LOAD", "return 1"],
    &["EVALSHA", "0", "1", "ltm:{1}:log"],
    &["WAIT", "1", "1"],
    &["GET", "ltm:{1}:deleted"],
    &["GET", "ltm:key:1:a:b"],
    &["EVALSHA", "0", "1", "ltm:key:1:a:b"],
    &["SET", "ltm:created:key", "1"],
    &["INCR", "ltm:ids"],
    &["EXISTS", "ltm:{1}:meta"],
    &["EXPIRE", "ltm:{1}:log", "1"],
    &["PERSIST", "ltm:{1}:log"],
    &["UNLINK", "ltm:{1}:log"],
    &["HGET", "ltm:{1}:meta", "cursor"],
    &["HMGET", "ltm:{1}:meta", "cursor"],
    &["HGETALL", "ltm:{1}:meta"],
    &["HSET", "ltm:{1}:meta", "cursor", "1-1"],
    &["HDEL", "ltm:{1}:idem", "k"],
    &["HINCRBY", "ltm:{1}:meta", "producers", "1"],
    &["HLEN", "ltm:{list}:counts"],
    &["HSCAN", "ltm:{list}:records", "0"],
    &["XADD", "ltm:{1}:log", "1-1", "snapshot", "{}"],
    &["XRANGE", "ltm:{1}:log", "-", "+"],
    &["XREVRANGE", "ltm:{1}:log", "+", "-"],
    &["XTRIM", "ltm:{1}:log", "MINID", "1"],
    &["ZADD", "ltm:index", "0", "1"],
    &["ZREM", "ltm:index", "1"],
    &["ZSCORE", "ltm:index:missing", "1"],
    &["ZREVRANGEBYLEX", "ltm:index", "+", "-"],
    &["ZRANGEBYLEX", "ltm:{list}:terms", "-", "+"],
    &["ZLEXCOUNT", "ltm:{list}:terms", "-", "+"],
    &["ZRANGEBYSCORE", "ltm:{list}:updated", "0", "1"],
    &["ZCOUNT", "ltm:{list}:updated", "0", "1"],
    &["ZREMRANGEBYSCORE", "ltm:index:missing", "0", "1"],
    &["PUBLISH", LIVE, "text"],
];

const API_ON_CLUSTER: &[Command] = &[&["CLUSTER", "SLOTS"], &["SPUBLISH", LIVE, "text"]];

const GATEWAY: &[Command] = &[
    &["INFO"],
    &["TIME"],
    &["PING"],
    &["SCRIPT", "LOAD", "return 1"],
    &["EVALSHA", "0", "1", "ltm:{1}:log"],
    &["GET", "ltm:{1}:deleted"],
    &["GET", "ltm:key:1:a:b"],
    &["GETDEL", "ltm:ticket:hash"],
    &["EXISTS", "ltm:{1}:meta"],
    &["HGET", "ltm:{1}:meta", "cursor"],
    &["HMGET", "ltm:{1}:checkpoint", "cursor"],
    &["ZREVRANGEBYLEX", "ltm:index", "+", "-"],
    &["ZRANGEBYLEX", "ltm:{list}:terms", "-", "+"],
    &["ZLEXCOUNT", "ltm:{list}:terms", "-", "+"],
    &["ZRANGEBYSCORE", "ltm:{list}:updated", "0", "1"],
    &["ZCOUNT", "ltm:{list}:updated", "0", "1"],
    &["HGETALL", "ltm:{1}:meta"],
    &["XRANGE", "ltm:{1}:log", "-", "+"],
    &["XREVRANGE", "ltm:{1}:log", "+", "-"],
    &["SUBSCRIBE", LIVE],
    &["UNSUBSCRIBE", LIVE],
    &["PUBLISH", "ltm:probe:{0}:1", "text"],
];

const GATEWAY_ON_CLUSTER: &[Command] = &[
    &["CLUSTER", "SLOTS"],
    &["SSUBSCRIBE", LIVE],
    &["SUNSUBSCRIBE", LIVE],
    &["SPUBLISH", "ltm:probe:{0}:1", "text"],
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The commands that `deploy/redis/users.acl` allows to a user by name.
    fn allowed(user: &str) -> BTreeSet<String> {
        let users = include_str!("../../../../deploy/redis/users.acl");
        let line = users.lines().find(|line| line.contains(user)).unwrap();
        let words = line.split(' ').map(|word| word.trim_matches(['(', ')']));
        let allowed = words.filter_map(|word| word.strip_prefix('+'));
        let named = allowed.filter(|command| !command.starts_with('@'));
        named.map(|command| command.replace('|', " ")).collect()
    }

    #[test]
    fn the_shipped_users_may_run_the_commands_of_their_service_and_no_others() {
        for (role, user) in [(Role::Api, "ltm-api"), (Role::Gateway, "ltm-gateway")] {
            let name = |command: &Command| match command[0] {
                "SCRIPT" | "CLUSTER" => command[..2].join(" ").to_lowercase(),
                name => name.to_lowercase(),
            };
            let mut used: BTreeSet<String> = role.commands(true).map(name).collect();
            // The category @connection allows it.
            used.remove("ping");
            assert_eq!(allowed(user), used, "{user}");
        }
    }
}
