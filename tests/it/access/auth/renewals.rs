//! New tokens and tickets, said on open sockets.

use ltm_tests::{Heard, Network, RawConnection, Service, SigningKey, Subscriber, until};
use serde_json::json;

use super::{AUDIENCE, Guarded, claims, keys::KeyServer, sockets::end_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_is_not_good_closes_the_socket_and_other_texts_do_not() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    for (wrong, code) in [
        (json!({"token": guarded.token(id + 1, "read")}), 4403),
        (json!({"token": "garbage"}), 4401),
        (json!({"ticket": "guess"}), 4401),
    ] {
        let ticket = guarded.ticket(&guarded.token(id, "read")).await;
        let url = guarded.gateway.ws(&format!("/ws/{id}?ticket={ticket}"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        for text in ["hello", "{}", r#"{"token": 5}"#, r#"{"follow": 1}"#] {
            assert!(subscriber.say(text).await);
        }
        guarded.append(id, 1).await;
        assert!(subscriber.message().await["snapshot"].is_object());
        assert!(subscriber.say(&wrong.to_string()).await);
        assert_eq!(subscriber.close_code().await, code, "{wrong}");
    }
}

/// A frame of up to 125 bytes as a client sends it; its mask changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_may_come_in_fragments_up_to_the_size_of_a_message() {
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[
            ("LTM__GATEWAY__MAX_MESSAGE", "1 KiB"),
            ("LTM__GATEWAY__MAX_MESSAGES", "1000"),
        ],
    );
    let id = guarded.create("app.Agent").await;
    let stranger = json!({"token": guarded.token(id + 1, "read")}).to_string();
    let spaces = " ".repeat(1024 - stranger.len());
    for (text, code, reason) in [
        (stranger.clone(), 4403, "may not read"),
        (format!("{stranger}{spaces}"), 4403, "may not read"),
        (format!("{stranger}{spaces} "), 1008_u16, "too much text"),
    ] {
        let ticket = guarded.ticket(&guarded.token(id, "read")).await;
        let mut socket = RawConnection::to(guarded.gateway.address()).await;
        socket.upgrade(&format!("/ws/{id}?ticket={ticket}")).await;
        let parts: Vec<&[u8]> = text.as_bytes().chunks(100).collect();
        for (number, part) in parts.iter().enumerate() {
            let opcode = u8::from(number == 0);
            let last = if number + 1 == parts.len() { 0x80 } else { 0 };
            // A ping may come between.
            let sent = [frame(opcode | last, part), frame(0x89, b"")].concat();
            // It may be closed before all is sent.
            if socket.send(&sent).await.is_err() {
                break;
            }
        }
        let closed = loop {
            match socket.frame().await.unwrap() {
                (0x88, payload) => break payload,
                (0x89 | 0x8a, _) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(closed[..2], code.to_be_bytes());
        let said = std::str::from_utf8(&closed[2..]).unwrap();
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_cannot_be_checked_now_is_checked_later() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let server = KeyServer::start("down").await;
    let gateway = Service::gateway(
        &guarded.redis.url(),
        &[
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", AUDIENCE),
            ("LTM__AUTH__LEEWAY", "0s"),
            ("LTM__AUTH__JWKS_URL", &server.url),
            ("LTM__AUTH__JWKS_PAUSE", "1ms"),
        ],
    );
    let follow = async || {
        let ticket = guarded.ticket(&guarded.token(id, "read")).await;
        let url = gateway.ws(&format!("/ws/{id}?after=0&ticket={ticket}"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        subscriber.message().await;
        subscriber
    };
    let (mut brief, mut stranger) = (follow().await, follow().await);
    // Each is closed only once its renewal was taken.
    let token = guarded.key.token(&claims(id, "read", 4));
    assert!(brief.say(&json!({"token": token}).to_string()).await);
    let token = guarded.token(id + 1, "read");
    assert!(stranger.say(&json!({"token": token}).to_string()).await);
    let complaint = "cannot verify a renewed credential";
    gateway.until_logged(complaint).await;
    let before = server.asked();
    while server.asked() < before + 2 {
        guarded.append(id, 1).await;
        brief.message().await;
        stranger.message().await;
    }
    let lines = gateway.lines();
    let complaints = lines.iter().filter(|line| line.contains(complaint));
    assert!(complaints.count() <= 2, "it is said once for each");
    server.serve(json!({"keys": [guarded.key.jwk("key")]}));
    assert_eq!(end_of(&mut brief).await, 4401);
    assert_eq!(end_of(&mut stranger).await, 4403);
}

/// The gateway asks Redis for the class of the LTM to follow, and a narrower token comes before Redis answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_holds_for_an_ltm_that_the_client_asks_for_at_the_same_time() {
    let guarded = Guarded::start();
    let network = Network::to(&guarded.redis.address()).await;
    let file = guarded.folder.path().join("jwt");
    let gateway = Service::gateway(
        &format!("redis://{}/0", network.address()),
        &[
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", AUDIENCE),
            ("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap()),
            ("LTM__AUTH__JWT_ALGORITHM", guarded.key.algorithm()),
        ],
    );
    let (shown, secret) = (guarded.create("a.A").await, guarded.create("b.B").await);
    let narrow = json!({"token": guarded.token("a.*", "read")}).to_string();
    let follow = json!({"follow": secret, "init": "state"}).to_string();
    for texts in [[&follow, &narrow], [&narrow, &follow]] {
        let ticket = guarded.ticket(&guarded.token("*", "read")).await;
        let url = gateway.ws(&format!("/ws?ticket={ticket}"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        let first = json!({"follow": shown, "live": 1}).to_string();
        assert!(subscriber.say(&first).await);
        assert_eq!(subscriber.message().await["live"], true);
        let held = network.held();
        network.hold();
        for text in texts {
            assert!(subscriber.say(text).await);
        }
        until("the gateway asks Redis", async || network.held() > held).await;
        network.release();
        // Either the token is refused because of the LTM, or the LTM because of the token.
        let code = loop {
            match subscriber.hear().await {
                Heard::Message(message) if message["end"].is_object() => {
                    assert_eq!(message["id"], secret, "{message}");
                    break message["end"]["code"].as_u64().unwrap();
                }
                Heard::Message(_) => {}
                Heard::Closed(code) => break code.into(),
                Heard::Lost => panic!("no close"),
            }
        };
        assert_eq!(code, 4403, "{texts:?}");
    }
}
