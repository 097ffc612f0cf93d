//! The Redis users of `deploy/redis/users.acl`.

use crate::RedisServer;

/// The password of every user.
pub const PASSWORD: &str = "not-a-secret";
/// The SHA-256 hash of the password.
const PASSWORD_SHA256: &str = "531854cef641648c7817441c3a04ae025e91d882aa1ac318057cba7e979b2140";

/// The shipped file, with the passwords filled in.
pub fn shipped_users() -> String {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/redis/users.acl");
    let mut users = std::fs::read_to_string(shipped).expect("the file is there");
    for name in ["API", "GATEWAY", "OPERATOR"] {
        users = users.replace(&format!("{name}_PASSWORD_SHA256"), PASSWORD_SHA256);
    }
    users
}

/// Adds these users to a running Redis. Its user `default` stays, because replicas connect with it.
pub fn add_shipped_users(redis: &RedisServer) {
    let users = shipped_users();
    for user in users
        .lines()
        .filter(|line| !line.starts_with("user default"))
    {
        let rules = ["ACL", "SETUSER"].into_iter();
        let rules: Vec<&str> = rules.chain(user.split(' ').skip(1)).collect();
        // A selector contains spaces between its parentheses.
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
