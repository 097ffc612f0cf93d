//! The end of an LTM: whoever follows it gets everything before it, and what is logged about it.

use ltm_tests::{Follower, Heard, RawConnection, Stack, Subscriber};
use reqwest::Method;
use serde_json::{Value, json};

/// How many entries a subscriber does not read, and how large each is.
const UNREAD: usize = 14;
const BYTES: usize = 3000;

async fn delete(stack: &Stack, id: u64) {
    let delete = stack.api.request(Method::DELETE, &format!("/ltm/{id}"));
    stack.api.send(delete).await.expect(200);
}

/// Appends what a subscriber does not read, and deletes the LTM once the gateway has it.
async fn end(stack: &Stack, id: u64) {
    for n in 0..UNREAD {
        let text = format!("{n} {}", "x".repeat(BYTES));
        stack.api.append(id, json!({"merge": {"text": text}})).await;
    }
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut reader = Subscriber::connect(&url).await.unwrap();
    let mut follower = Follower::default();
    while follower.seen.len() <= UNREAD {
        follower.take(&reader.message().await);
    }
    delete(stack, id).await;
    assert_eq!(reader.message().await["deleted"], true);
    assert_eq!(reader.close_code().await, 4410);
}

/// Takes messages up to the deletion; each entry must come once.
struct Whole {
    follower: Follower,
    deleted: bool,
}

impl Whole {
    fn new() -> Self {
        let follower = Follower::default();
        Self {
            follower,
            deleted: false,
        }
    }

    fn take(&mut self, message: &Value) {
        self.follower.take(message);
        self.deleted |= message["deleted"] == true;
    }

    fn check(&self, what: &str) {
        let seen = self.follower.seen.len();
        // The creation, what was not read, and the deletion.
        assert!(self.deleted && seen == UNREAD + 2, "{what}: {seen} entries");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_gets_the_end_of_an_ltm_and_everything_before_it() {
    for buffer in ["8 KiB", "16 KiB", "64 KiB"] {
        let stack = Stack::with(&[("LTM__HTTP__SEND_BUFFER", buffer)]);
        for _ in 0..3 {
            let (id, _) = stack.api.create(json!({})).await;
            let path = format!("/ws/{id}?after=0");
            let mut one = Subscriber::with_buffer(stack.gateway.address(), &path, 4096).await;
            let mut many = Subscriber::with_buffer(stack.gateway.address(), "/ws", 4096).await;
            let follow = json!({"follow": id, "after": "0"});
            assert!(many.say(&follow.to_string()).await);
            let (mut of_one, mut of_many) = (Whole::new(), Whole::new());
            of_one.take(&one.message().await);
            of_many.take(&many.message().await);
            let mut events = RawConnection::with_small_buffer(stack.gateway.address()).await;
            let request = format!("GET /sse/{id}?after=0 HTTP/1.0\r\nHost: localhost\r\n\r\n");
            events.send(request.as_bytes()).await.unwrap();
            events.head().await;
            end(&stack, id).await;
            loop {
                match one.hear().await {
                    Heard::Message(message) => of_one.take(&message),
                    Heard::Closed(code) => break assert_eq!(code, 4410),
                    Heard::Lost => panic!("no close"),
                }
            }
            of_one.check(&format!("one LTM, {buffer}"));
            loop {
                let message = many.message().await;
                if message["end"].is_object() {
                    break assert_eq!(message["end"]["code"], 4410);
                }
                of_many.take(&message);
            }
            of_many.check(&format!("many LTMs, {buffer}"));
            let text = String::from_utf8(events.rest().await).unwrap();
            let mut of_events = Whole::new();
            for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
                let message: Value = serde_json::from_str(line).unwrap();
                if message["end"].is_null() {
                    of_events.take(&message);
                }
            }
            of_events.check(&format!("events, {buffer}"));
        }
    }
}
