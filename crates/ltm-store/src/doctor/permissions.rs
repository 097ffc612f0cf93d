//! What the services ask of Redis, for whoever decides what their users may do.

use std::fmt;

/// A service, by what it does in Redis.
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
    /// A call of each command that it uses, with keys as it uses them; on a cluster some more.
    pub(crate) fn commands(self, cluster: bool) -> impl Iterator<Item = &'static Call> {
        let (always, on_cluster) = match self {
            Self::Api => (API, API_ON_CLUSTER),
            Self::Gateway => (GATEWAY, GATEWAY_ON_CLUSTER),
        };
        let more = if cluster { on_cluster } else { &[] };
        always.iter().chain(more)
    }
}

/// A command and its arguments.
pub(crate) type Call = &'static [&'static str];

const API: &[Call] = &[
    &["INFO"],
    &["TIME"],
    &["PING"],
    &["SCRIPT", "LOAD", "return 1"],
    &["EVALSHA", "0", "1", "ltm:{1}:log"],
    &["WAIT", "1", "1"],
    &["GET", "ltm:{1}:deleted"],
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
    &["XADD", "ltm:{1}:log", "1-1", "snapshot", "{}"],
    &["XRANGE", "ltm:{1}:log", "-", "+"],
    &["XREVRANGE", "ltm:{1}:log", "+", "-"],
    &["XTRIM", "ltm:{1}:log", "MINID", "1"],
    &["ZADD", "ltm:index", "0", "1"],
    &["ZREM", "ltm:index", "1"],
    &["ZSCORE", "ltm:index:missing", "1"],
    &["ZREVRANGEBYLEX", "ltm:index", "+", "-"],
    &["ZREMRANGEBYSCORE", "ltm:index:missing", "0", "1"],
    &["PUBLISH", "ltm:{1}:live", "text"],
];

const API_ON_CLUSTER: &[Call] = &[&["CLUSTER", "SLOTS"], &["SPUBLISH", "ltm:{1}:live", "text"]];

const GATEWAY: &[Call] = &[
    &["INFO"],
    &["TIME"],
    &["PING"],
    &["SCRIPT", "LOAD", "return 1"],
    &["EVALSHA", "0", "1", "ltm:{1}:log"],
    &["GET", "ltm:{1}:deleted"],
    &["GETDEL", "ltm:ticket:hash"],
    &["EXISTS", "ltm:{1}:meta"],
    &["HGET", "ltm:{1}:meta", "cursor"],
    &["HMGET", "ltm:{1}:checkpoint", "cursor"],
    &["ZREVRANGEBYLEX", "ltm:index", "+", "-"],
    &["HGETALL", "ltm:{1}:meta"],
    &["XRANGE", "ltm:{1}:log", "-", "+"],
    &["XREVRANGE", "ltm:{1}:log", "+", "-"],
    &["SUBSCRIBE", "ltm:{1}:live"],
    &["UNSUBSCRIBE", "ltm:{1}:live"],
    &["PUBLISH", "ltm:probe:{0}:1", "text"],
];

const GATEWAY_ON_CLUSTER: &[Call] = &[
    &["CLUSTER", "SLOTS"],
    &["SSUBSCRIBE", "ltm:{1}:live"],
    &["SUNSUBSCRIBE", "ltm:{1}:live"],
    &["SPUBLISH", "ltm:probe:{0}:1", "text"],
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What a user of `deploy/redis/users.acl` is given by name.
    fn given(user: &str) -> BTreeSet<String> {
        let users = include_str!("../../../../deploy/redis/users.acl");
        let line = users.lines().find(|line| line.contains(user)).unwrap();
        let words = line.split(' ').map(|word| word.trim_matches(['(', ')']));
        let given = words.filter_map(|word| word.strip_prefix('+'));
        let named = given.filter(|command| !command.starts_with('@'));
        named.map(|command| command.replace('|', " ")).collect()
    }

    #[test]
    fn the_shipped_users_are_given_what_their_service_uses_and_nothing_else() {
        for (role, user) in [(Role::Api, "ltm-api"), (Role::Gateway, "ltm-gateway")] {
            let name = |call: &Call| match call[0] {
                "SCRIPT" | "CLUSTER" => call[..2].join(" ").to_lowercase(),
                name => name.to_lowercase(),
            };
            let mut used: BTreeSet<String> = role.commands(true).map(name).collect();
            // Of a category that is given: @connection.
            used.remove("ping");
            assert_eq!(given(user), used, "{user}");
        }
    }
}
