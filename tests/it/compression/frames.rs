//! Compressed WebSocket messages (RFC 7692): a client that offers `permessage-deflate` gets the same texts in fewer bytes, and
//! may compress what it sends.

use flate2::{Compress, Compression, FlushCompress};
use futures_util::{StreamExt, stream};
use ltm_tests::{Follower, Inflater, RawConnection, Scrape, Stack, Subscriber, masked_frame};
use serde_json::{Value, json};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const AGREED: &str = "sec-websocket-extensions: permessage-deflate; client_no_context_takeover\r\n";

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client that inflates.
struct Inflating {
    socket: RawConnection,
    inflater: Inflater,
    /// The bytes of the payloads that came, and of the texts in them.
    wire: usize,
    text: usize,
}

/// A message, and whether it was compressed.
type Message = (Value, bool);

impl Inflating {
    async fn connect(stack: &Stack, path: &str) -> Self {
        let mut socket = RawConnection::to(stack.gateway.address()).await;
        let head = socket.shake_hands(path, OFFER).await;
        assert!(head.to_ascii_lowercase().contains(AGREED), "{head}");
        Self {
            socket,
            inflater: Inflater::new(15, true),
            wire: 0,
            text: 0,
        }
    }

    async fn message(&mut self) -> Message {
        let (mut payload, mut compressed) = (Vec::new(), false);
        loop {
            let (first, part) = self.socket.frame().await.expect("a message");
            if first & 0x0f > 2 {
                continue;
            }
            compressed |= first & COMPRESSED != 0;
            payload.extend(part);
            if first & FIN != 0 {
                break;
            }
        }
        self.wire += payload.len();
        if compressed {
            payload = self.inflater.message(&payload).unwrap();
        }
        self.text += payload.len();
        (serde_json::from_slice(&payload).unwrap(), compressed)
    }
}

/// What a compressor makes of a text, without the end that is not sent.
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(text.len() + 64);
    Compress::new(Compression::new(6), false)
        .compress_vec(text, &mut payload, FlushCompress::Sync)
        .unwrap();
    payload.truncate(payload.len() - 4);
    payload
}

fn patch(n: usize) -> Value {
    json!({"reason": "execute", "merge": {"n": n, "text": format!("a text of {} words and {n} more", n * 7919 % 997)}})
}

#[tokio::test(flavor = "multi_thread")]
async fn live_messages_to_all_who_inflate_mean_the_same_in_fewer_bytes() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    let mut plain = Subscriber::connect(&stack.gateway.ws(&path)).await.unwrap();
    let mut first = Inflating::connect(&stack, &path).await;
    let mut late = None;
    for n in 0..60 {
        if n == 20 {
            late = Some(Inflating::connect(&stack, &path).await);
        }
        stack.api.append(id, patch(n)).await;
        let expected = plain.message().await;
        assert_eq!(first.message().await, (expected.clone(), true));
        if let Some(late) = &mut late {
            assert_eq!(late.message().await, (expected, true));
        }
    }
    assert!(
        first.wire * 3 < first.text,
        "{} of {}",
        first.wire,
        first.text
    );
    let scrape = Scrape::of(&stack.gateway).await;
    let saved = scrape.value("ltm_compression_saved_bytes_total");
    assert!(
        saved > scrape.value("ltm_delivered_bytes_total") / 3.0,
        "{saved}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_and_a_backlog_are_compressed_and_a_resume_goes_on_from_there() {
    let stack = Stack::start();
    let rows: Vec<Value> = (0..5000)
        .map(|n| json!({"row": n, "name": format!("name {}", n * 7919 % 5000)}))
        .collect();
    let (id, cursor) = stack.api.create(json!({"rows": rows})).await;
    let mut reset = Inflating::connect(&stack, &format!("/ws/{id}?init=state")).await;
    let (message, compressed) = reset.message().await;
    assert!(compressed && message["reset"]["state"]["rows"] == json!(rows));
    assert!(
        reset.wire * 100 < reset.text * 20,
        "{} of {}",
        reset.wire,
        reset.text
    );

    for n in 0..200 {
        stack.api.append(id, patch(n)).await;
    }
    let document = stack.api.document(id).await;
    let mut follower = Follower {
        cursor: cursor.parse().unwrap(),
        state: json!({"rows": rows}),
        ..Follower::default()
    };
    let mut socket = Inflating::connect(&stack, &format!("/ws/{id}?after={cursor}")).await;
    for _ in 0..200 {
        follower.take(&socket.message().await.0);
    }
    assert!(
        socket.wire * 4 < socket.text,
        "{} of {}",
        socket.wire,
        socket.text
    );
    assert_eq!(follower.state, document["state"]);
    // From the log to live messages, on both sockets.
    for n in 200..220 {
        stack.api.append(id, patch(n)).await;
        let (message, compressed) = socket.message().await;
        assert!(compressed, "{message}");
        follower.take(&message);
    }
    for _ in 0..220 {
        reset.message().await;
    }
    assert_eq!(follower.state, stack.api.document(id).await["state"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ltms_on_one_socket_share_its_window() {
    let stack = Stack::start();
    let mut socket = Inflating::connect(&stack, "/ws").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (id, _) = stack.api.create(json!({})).await;
        ids.push(id);
        // The client compresses its commands, too.
        let follow = deflated(json!({"follow": id, "live": true}).to_string().as_bytes());
        let frame = masked_frame(FIN | COMPRESSED | TEXT, &follow);
        socket.socket.send(&frame).await.unwrap();
        assert_eq!(socket.message().await.0["live"], true);
    }
    for n in 0..60 {
        // Several of one, then one of each.
        let id = if n < 30 { ids[n / 10] } else { ids[n % 3] };
        stack.api.append(id, patch(n)).await;
        let (message, _) = socket.message().await;
        assert_eq!(
            (&message["id"], &message["snapshot"]["patch"][0]["value"]),
            (&json!(id), &json!(n))
        );
    }
}

/// What the gateway does with frames of a client: answers a ping after them, or closes with this code.
async fn outcome(stack: &Stack, path: &str, offer: &str, frames: &[Vec<u8>]) -> Option<u16> {
    let mut socket = RawConnection::to(stack.gateway.address()).await;
    let head = socket.shake_hands(path, offer).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for frame in [frames, &[masked_frame(FIN | PING, b"still there?")]].concat() {
        if socket.send(&frame).await.is_err() {
            break;
        }
    }
    loop {
        let (first, payload) = socket.frame().await.expect("a pong or a close");
        match first & 0x0f {
            PONG if payload == b"still there?" => return None,
            8 => return Some(u16::from_be_bytes([payload[0], payload[1]])),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_compressed_frames_ends_as_rfc_7692_says() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    let hello = deflated(b"Hello");
    let bomb = deflated(&vec![b' '; 1 << 20]);
    let digits: String = (0..9000u64).map(|n| (n * n % 9973).to_string()).collect();
    let large = deflated(digits.as_bytes());
    assert!(bomb.len() < 2000 && large.len() > 8192);
    let frame = |first: u8, payload: &[u8]| masked_frame(first, payload);
    let text = |payload: &[u8]| vec![frame(FIN | COMPRESSED | TEXT, payload)];
    let cases = [
        ("a text", OFFER, text(&hello), None),
        ("an empty text", OFFER, text(b"\0"), None),
        (
            "a block that is not compressed",
            OFFER,
            text(b"\0\x05\0\xfa\xffHello\0"),
            None,
        ),
        (
            "a last block",
            OFFER,
            text(b"\xf3\x48\xcd\xc9\xc9\x07\0\0"),
            None,
        ),
        (
            "a text that is not compressed",
            OFFER,
            vec![frame(FIN | TEXT, b"Hello")],
            None,
        ),
        (
            "binary",
            OFFER,
            vec![frame(FIN | COMPRESSED | BINARY, &large)],
            Some(1008),
        ),
        (
            "small binary",
            OFFER,
            vec![frame(FIN | COMPRESSED | BINARY, &hello)],
            None,
        ),
        (
            "in fragments, with a ping between",
            OFFER,
            vec![
                frame(COMPRESSED | TEXT, &hello[..2]),
                frame(FIN | PING, b"ping"),
                frame(0, &hello[2..3]),
                frame(FIN, &hello[3..]),
            ],
            None,
        ),
        (
            "the bit on a later fragment",
            OFFER,
            vec![
                frame(COMPRESSED | TEXT, &hello[..2]),
                frame(FIN | COMPRESSED, &hello[2..]),
            ],
            Some(1002),
        ),
        (
            "the bit on a ping",
            OFFER,
            vec![frame(FIN | COMPRESSED | PING, b"")],
            Some(1002),
        ),
        (
            "the bit on a close",
            OFFER,
            vec![frame(FIN | COMPRESSED | 8, b"")],
            Some(1002),
        ),
        (
            "the second reserved bit",
            OFFER,
            vec![frame(FIN | 0x20 | TEXT, &hello)],
            Some(1002),
        ),
        (
            "all reserved bits",
            OFFER,
            vec![frame(FIN | 0x70 | TEXT, &hello)],
            Some(1002),
        ),
        ("without an offer", "", text(&hello), Some(1002)),
        (
            "no compressed text",
            OFFER,
            text(b"\xff\xff\xff"),
            Some(1002),
        ),
        ("a part of one", OFFER, text(&hello[..3]), Some(1002)),
        (
            "context of an earlier message",
            OFFER,
            [text(&hello), text(b"\xf2\0\x11\0\0")].concat(),
            Some(1002),
        ),
        (
            "a text that is not UTF-8",
            OFFER,
            text(&deflated(b"\xce\xba\xed\xa0\x80")),
            Some(1007),
        ),
        (
            "a text of the allowed size",
            OFFER,
            text(&deflated(&[b'x'; 8192])),
            None,
        ),
        (
            "a text of more",
            OFFER,
            text(&deflated(&[b'x'; 8193])),
            Some(1008),
        ),
        ("a bomb", OFFER, text(&bomb), Some(1008)),
        (
            "a bomb in fragments",
            OFFER,
            vec![
                frame(COMPRESSED | TEXT, &bomb[..500]),
                frame(FIN, &bomb[500..]),
            ],
            Some(1008),
        ),
    ];
    let outcomes: Vec<Option<u16>> = stream::iter(&cases)
        .map(|(_, offer, frames, _)| outcome(&stack, &path, offer, frames))
        .buffered(30)
        .collect()
        .await;
    for ((name, .., expected), is) in cases.iter().zip(outcomes) {
        assert_eq!(is, *expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_that_offers_it_gets_compressed_messages_and_an_operator_can_switch_it_off() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let off = Stack::with(&[("LTM__GATEWAY__COMPRESSION", "false")]);
    let (other, _) = off.api.create(json!({})).await;
    for (stack, id, offer, expected) in [
        (&stack, id, OFFER, true),
        (&stack, id, "", false),
        (
            &stack,
            id,
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n",
            false,
        ),
        (&off, other, OFFER, false),
    ] {
        let mut socket = RawConnection::to(stack.gateway.address()).await;
        let head = socket.shake_hands(&format!("/ws/{id}?live=1"), offer).await;
        let agreed = head
            .to_ascii_lowercase()
            .contains("sec-websocket-extensions");
        assert_eq!(agreed, expected, "{head}");
        socket.frame().await.expect("`live`");
        stack.api.append(id, patch(1)).await;
        let (first, _) = socket.frame().await.unwrap();
        assert_eq!(first & COMPRESSED != 0, expected, "{offer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_outside_the_limits_of_compression_is_sent_as_it_is() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__COMPRESSION_MIN_SIZE", "500 B"),
        ("LTM__GATEWAY__COMPRESSION_MAX_SIZE", "2 KiB"),
        ("LTM__GATEWAY__COMPRESSION_MIN_SUBSCRIBERS", "2"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    let append = async |size: usize| {
        let text = "x".repeat(size);
        stack.api.append(id, json!({"merge": {"text": text}})).await;
    };
    let mut sockets = vec![Inflating::connect(&stack, &path).await];
    append(1000).await;
    assert!(!sockets[0].message().await.1, "one subscriber");
    // At least one thread has two.
    let threads = std::thread::available_parallelism().unwrap().get();
    for _ in 0..threads {
        sockets.push(Inflating::connect(&stack, &path).await);
    }
    for (size, expected) in [(1001, true), (10, false), (3000, false), (1000, true)] {
        append(size).await;
        let mut compressed = 0;
        for socket in &mut sockets {
            compressed += usize::from(socket.message().await.1);
        }
        assert_eq!(compressed >= 2, expected, "{size}: {compressed}");
    }
}

/// A compressed message of many frames that the socket takes bit by bit: a pong goes between two of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_pong_goes_between_the_frames_of_a_compressed_message() {
    let stack = Stack::start();
    let words: Vec<String> = (0..200_000u64)
        .map(|n| (n * 2_654_435_761 % 1_000_003).to_string())
        .collect();
    let (id, _) = stack.api.create(json!({"text": words.join(" ")})).await;
    let mut socket = RawConnection::with_small_buffer(stack.gateway.address()).await;
    socket
        .shake_hands(&format!("/ws/{id}?init=state"), OFFER)
        .await;
    let (first, mut payload) = socket.frame().await.unwrap();
    assert_eq!(first, COMPRESSED | TEXT, "the first of several");
    socket
        .send(&masked_frame(FIN | PING, b"one"))
        .await
        .unwrap();
    let mut ponged = false;
    loop {
        let (first, part) = socket.frame().await.unwrap();
        if first == FIN | PONG {
            ponged = true;
            continue;
        }
        payload.extend(part);
        if first & FIN != 0 {
            break;
        }
    }
    assert!(ponged, "before the message ends");
    let text = Inflater::new(15, true).message(&payload).unwrap();
    let message: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(message["reset"]["state"]["text"], words.join(" "));
}
