//! `after`, `init` and `live` mean the same on every endpoint that follows something.

use ltm_tests::{Events, Service, Stack, Subscriber};
use reqwest::{Client, Url};
use serde_json::{Map, Value, json};

/// Each query string, and the field that a refusal names; `None` if the endpoint accepts it.
const QUERIES: [(&str, Option<&str>); 18] = [
    ("", None),
    ("after=0", None),
    ("after=3-7", None),
    ("init=state", None),
    ("live=1", None),
    ("live=0", None),
    ("live=true", None),
    ("live=False", None),
    ("live=yes", None),
    ("live=off", None),
    ("live=2", Some("live")),
    ("live=", Some("live")),
    ("live=maybe", Some("live")),
    ("after=", Some("after")),
    ("after=soon", Some("after")),
    ("init=all", Some("init")),
    ("init=", Some("init")),
    ("init=state&after=0", Some("init")),
];

/// The field that the answer to a request names; `None` if the request is accepted.
async fn refused(gateway: &Service, path: &str, upgrade: bool) -> Option<String> {
    let mut request = Client::new().get(format!("{}{path}", gateway.http()));
    if upgrade {
        request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    }
    let answer = request.send().await.unwrap();
    if matches!(answer.status().as_u16(), 101 | 200) {
        return None;
    }
    let problem: Value = answer.json().await.unwrap();
    Some(problem["field"].as_str().expect("a field").into())
}

/// The members of a command `follow` that stand for a query string.
fn members(query: &str) -> Map<String, Value> {
    let url = Url::parse(&format!("ws://gateway/ws?{query}")).unwrap();
    let member = |(name, value): (_, _)| (String::from(name), Value::String(String::from(value)));
    url.query_pairs().map(member).collect()
}

/// The same for a command `follow` on a socket for many LTMs.
async fn refused_command(
    socket: &mut Subscriber,
    id: u64,
    members: Map<String, Value>,
) -> Option<String> {
    let mut command = members;
    command.insert("follow".into(), json!(id));
    assert!(socket.say(&Value::Object(command).to_string()).await);
    // The answer to this one comes after every message of the command before it.
    assert!(socket.say(&json!({"unfollow": id}).to_string()).await);
    let mut refused = None;
    loop {
        let message = socket.message().await;
        let end = &message["end"];
        match end["code"].as_u64() {
            Some(1000) => return refused,
            Some(4400) => {
                let reason = end["reason"].as_str().unwrap();
                refused = reason.split(':').next().map(Into::into);
            }
            Some(_) => panic!("{message}"),
            None => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_is_accepted_or_refused_alike_on_every_endpoint() {
    let stack = Stack::start();
    let gateway = &stack.gateway;
    let (id, _) = stack.api.create(json!({})).await;
    let mut many = Subscriber::connect(&gateway.ws("/ws")).await.unwrap();
    for (number, (query, field)) in QUERIES.into_iter().enumerate() {
        let field = field.map(String::from);
        for (path, upgrade) in [
            (format!("/ws/{id}?{query}"), true),
            (format!("/ws/ltms?{query}"), true),
            (format!("/sse/{id}?{query}"), false),
        ] {
            assert_eq!(refused(gateway, &path, upgrade).await, field, "{path}");
        }
        let named = refused_command(&mut many, id, members(query)).await;
        assert_eq!(named, field, "/ws {query}");
        // A socket may send only so many commands in ten seconds.
        if number % 8 == 7 {
            many = Subscriber::connect(&gateway.ws("/ws")).await.unwrap();
        }
    }
    for (live, field) in [
        (json!(true), None),
        (json!(1), None),
        (json!(false), None),
        (json!(null), None),
        (json!(2), Some("live")),
        (json!([]), Some("live")),
    ] {
        let command = Map::from_iter([("live".into(), live.clone())]);
        let named = refused_command(&mut many, id, command).await;
        assert_eq!(named.as_deref(), field, "/ws {live}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_says_when_a_subscriber_that_asks_with_yes_has_caught_up() {
    let stack = Stack::start();
    let gateway = &stack.gateway;
    let (id, _) = stack.api.create(json!({})).await;
    for path in [format!("/ws/{id}?live=yes"), "/ws/ltms?live=yes".into()] {
        let mut socket = Subscriber::connect(&gateway.ws(&path)).await.unwrap();
        while socket.message().await["live"] != true {}
    }
    let url = format!("{}/sse/{id}?live=yes", gateway.http());
    let mut events = Events::open(Events::ask(&url, None)).await;
    assert_eq!(events.next().await.unwrap().json()["live"], true);
    let mut many = Subscriber::connect(&gateway.ws("/ws")).await.unwrap();
    let command = json!({"follow": id, "live": "yes"});
    assert!(many.say(&command.to_string()).await);
    assert_eq!(many.message().await["live"], true);
}
