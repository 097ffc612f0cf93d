//! The users of `deploy/redis/users.acl`.

use crate::RedisServer;

/// The password that stands in for each.
pub const PASSWORD: &str = "not-a-secret";
/// SHA-256 of it.
const PASSWORD_SHA256: &str = "531854cef641648c7817441c3a04ae025e91d882aa1ac318057cba7e979b2140";

/// The file as it is shipped, with the passwords put in.
pub fn shipped_users() -> String {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/redis/users.acl");
    let mut users = std::fs::read_to_string(shipped).expect("the file is there");
    for name in ["API", "GATEWAY", "OPERATOR"] {
        users = users.replace(&format!("{name}_PASSWORD_SHA256"), PASSWORD_SHA256);
    }
    users
}

/// Gives a Redis that runs these users, beside its `default`, with which its replicas come.
pub fn add_shipped_users(redis: &RedisServer) {
    let users = shipped_users();
    for user in users
        .lines()
        .filter(|line| !line.starts_with("user default"))
    {
        let rules = ["ACL", "SETUSER"].into_iter();
        let rules: Vec<&str> = rules.chain(user.split(' ').skip(1)).collect();
        // A selector has spaces between its brackets.
        let mut whole: Vec<String> = Vec::new();
        for rule in rules {
            match whole
                .last_mut()
                .filter(|it| it.starts_with('(') && !it.ends_with(')'))
            {
                Some(selector) => *selector += &format!(" {rule}"),
                None => whole.push(rule.into()),
            }
        }
        let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
        assert_eq!(redis.cli(&whole), "OK");
    }
}
