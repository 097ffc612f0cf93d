//! Addresses as people may see them: in logs, in errors, in printed settings.

/// The query parameters whose values are no secrets.
const OPEN: [&str; 2] = ["db", "protocol"];

/// A URL without its secrets: without the user and the password, and without the values of its query, except for those
/// that choose a database.
pub fn shown_url(url: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let not_a_url = "(not a URL)";
    let Some((scheme, rest)) = url.split_once("://") else {
        return not_a_url.into();
    };
    // A password may hold any letter, so the last @ ends it.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, "insecure")) => (rest, "#insecure"),
        Some((rest, _)) => (rest, ""),
        None => (rest, ""),
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let host = address.split('/').next().unwrap_or_default();
    if !is_host(host) {
        return not_a_url.into();
    }
    let mut shown = format!("{scheme}://{user}{address}");
    for (number, pair) in query.into_iter().flat_map(|it| it.split('&')).enumerate() {
        shown.push(if number == 0 { '?' } else { '&' });
        shown.push_str(&shown_pair(pair));
    }
    shown + fragment
}

/// A node such as `host:6379` without a user and a password in front of it.
pub fn shown_node(node: &str) -> String {
    match node.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => node.to_owned(),
    }
}

/// Whether this is a host, with a port or without. Otherwise it may be a user and a password whose `@` is missing.
fn is_host(text: &str) -> bool {
    let port = match text.strip_prefix('[') {
        Some(address) => match address.split_once(']') {
            Some((_, rest)) => rest.strip_prefix(':'),
            None => return false,
        },
        None => text.split_once(':').map(|(_, port)| port),
    };
    port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn shown_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if !OPEN.contains(&name) => format!("{name}=***"),
        Some(_) => pair.to_owned(),
        // Without a name it may be a secret as a whole.
        None => "***".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_url_shows_its_secrets() {
        for (url, shown) in [
            ("", ""),
            ("redis://host:1/0", "redis://host:1/0"),
            ("redis://u:p@s@host:1/0", "redis://***@host:1/0"),
            ("redis://:s/e?c#r@host", "redis://***@host"),
            ("redis://s@[::1]:6379/3", "redis://***@[::1]:6379/3"),
            (
                "rediss://u:s@host/0#insecure",
                "rediss://***@host/0#insecure",
            ),
            ("rediss://host/0#s", "rediss://host/0"),
            (
                "redis+unix:///run/redis.sock?db=3&user=u&pass=s",
                "redis+unix:///run/redis.sock?db=3&user=***&pass=***",
            ),
            ("unix:///run/redis.sock?s", "unix:///run/redis.sock?***"),
            ("https://u:s@id.example/keys?token=s&x=s@s", "https://***@s"),
            (
                "https://id.example/keys?token=s",
                "https://id.example/keys?token=***",
            ),
            // The @ is missing.
            ("redis://:s", "(not a URL)"),
            ("redis://user:s", "(not a URL)"),
            ("s", "(not a URL)"),
            ("redis:s@host", "(not a URL)"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
        assert_eq!(shown_node("u:s@host:1"), "***@host:1");
        assert_eq!(shown_node("host:1"), "host:1");
    }
}
