//! The WebSocket protocol (RFC 6455), case by case: the cases of the public Autobahn suite that apply to a gateway, which
//! ignores what clients say.
//!
//! The gateway, and the library below it (actix), differ from the RFC or the suite:
//!
//! - To a length whose first bit is set it answers 1009 in place of 1002. It takes the frame for one that is too big.
//! - To a close whose reason is not UTF-8 it answers 1002 in place of 1007, as to a wrong code.
//! - To a close it answers 1000, whatever code the client sent.
//! - It reads a frame only when it is complete. So it finds invalid UTF-8 at the end of the frame, and rejects a control
//!   frame that is too long only when all of it has arrived, or more than the gateway accepts.

use futures_util::{StreamExt, stream};
use ltm_tests::{RawConnection, Stack, Subscriber, masked_frame as frame};
use serde_json::json;

/// What the gateway does after what a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Goes on: answers a ping.
    GoesOn,
    /// Closes with this code, and ends the connection.
    Closes(u16),
}
use Then::{Closes, GoesOn};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;

/// A whole message.
fn whole(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(FIN | opcode, payload)
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    whole(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

type Case = (&'static str, Vec<Vec<u8>>, Then);

fn framing() -> Vec<Case> {
    let kib = |size: usize| vec![b'*'; size * 1024];
    vec![
        ("1.1.1 empty text", vec![whole(TEXT, b"")], GoesOn),
        ("1.1.2 text of 125", vec![whole(TEXT, &[b'*'; 125])], GoesOn),
        ("1.1.3 text of 126", vec![whole(TEXT, &[b'*'; 126])], GoesOn),
        ("1.1.5 text of 128", vec![whole(TEXT, &[b'*'; 128])], GoesOn),
        (
            "1.1.6 text of the allowed size",
            vec![whole(TEXT, &kib(8))],
            GoesOn,
        ),
        (
            "1.1.7 text of more",
            vec![whole(TEXT, &kib(9))],
            Closes(1008),
        ),
        (
            "1.1.8 text larger than any frame",
            vec![whole(TEXT, &kib(65))],
            Closes(1009),
        ),
        ("1.2.1 empty binary", vec![whole(BINARY, b"")], GoesOn),
        (
            "1.2.5 binary of 128",
            vec![whole(BINARY, &[0xfe; 128])],
            GoesOn,
        ),
        (
            "1.2.7 binary of more than allowed",
            vec![whole(BINARY, &kib(9))],
            Closes(1008),
        ),
        (
            "a length in more bytes than needed",
            vec![[&b"\x81\xfe\0\x01\0\0\0\0"[..], b"x"].concat()],
            GoesOn,
        ),
        (
            "a length whose first bit is set",
            vec![[&b"\x81\xff"[..], &[0xff; 8], &[0; 4]].concat()],
            Closes(1009),
        ),
        ("no mask", vec![b"\x81\x02hi".to_vec()], Closes(1002)),
        (
            "byte by byte",
            whole(TEXT, "grüße".as_bytes())
                .chunks(1)
                .map(Into::into)
                .collect(),
            GoesOn,
        ),
    ]
}

fn pings_and_pongs() -> Vec<Case> {
    vec![
        ("2.1 ping without payload", vec![whole(PING, b"")], GoesOn),
        (
            "2.3 ping with binary payload",
            vec![whole(PING, &[0, 0xff, 0xfe])],
            GoesOn,
        ),
        ("2.4 ping of 125", vec![whole(PING, &[0xfe; 125])], GoesOn),
        (
            "2.5 ping of 126",
            vec![whole(PING, &[0xfe; 126])],
            Closes(1002),
        ),
        (
            "2.7 pong that nobody asked for",
            vec![whole(PONG, b"")],
            GoesOn,
        ),
        (
            "2.8 pong with payload",
            vec![whole(PONG, b"unsolicited")],
            GoesOn,
        ),
        ("pong of 126", vec![whole(PONG, &[0; 126])], Closes(1002)),
        ("2.10 ten pings", vec![whole(PING, b"payload"); 10], GoesOn),
    ]
}

fn reserved() -> Vec<Case> {
    vec![
        (
            "3.1 first reserved bit",
            vec![frame(FIN | 0x40 | TEXT, b"hi")],
            Closes(1002),
        ),
        (
            "3.2 second, after a text",
            vec![whole(TEXT, b"hi"), frame(FIN | 0x20 | TEXT, b"hi")],
            Closes(1002),
        ),
        (
            "3.3 first and second",
            vec![frame(FIN | 0x60 | TEXT, b"hi")],
            Closes(1002),
        ),
        (
            "3.5 on binary",
            vec![frame(FIN | 0x50 | BINARY, b"hi")],
            Closes(1002),
        ),
        (
            "3.6 on ping",
            vec![frame(FIN | 0x10 | PING, b"hi")],
            Closes(1002),
        ),
        (
            "3.7 all, on close",
            vec![frame(FIN | 0x70 | CLOSE, b"")],
            Closes(1002),
        ),
        ("4.1.1 opcode 3", vec![whole(3, b"")], Closes(1002)),
        (
            "4.1.2 opcode 4 with payload",
            vec![whole(4, b"reserved")],
            Closes(1002),
        ),
        (
            "4.1.5 opcode 7, after a text",
            vec![whole(TEXT, b"hi"), whole(7, b"hi")],
            Closes(1002),
        ),
        ("4.2.1 opcode 11", vec![whole(11, b"")], Closes(1002)),
        (
            "4.2.5 opcode 15",
            vec![whole(15, b"reserved")],
            Closes(1002),
        ),
    ]
}

fn fragments() -> Vec<Case> {
    vec![
        (
            "5.1 ping in fragments",
            vec![frame(PING, b"frag"), frame(FIN, b"ment")],
            Closes(1002),
        ),
        (
            "5.2 pong in fragments",
            vec![frame(PONG, b"frag"), frame(FIN, b"ment")],
            Closes(1002),
        ),
        (
            "close in fragments",
            vec![frame(CLOSE, &1000u16.to_be_bytes())],
            Closes(1002),
        ),
        (
            "5.3 text in two",
            vec![frame(TEXT, b"frag"), frame(FIN, b"ment")],
            GoesOn,
        ),
        (
            "5.4 at once",
            vec![[frame(TEXT, b"frag"), frame(FIN, b"ment")].concat()],
            GoesOn,
        ),
        (
            "5.6 a ping between",
            vec![
                frame(TEXT, b"frag"),
                whole(PING, b"ping"),
                frame(FIN, b"ment"),
            ],
            GoesOn,
        ),
        (
            "5.9 continuation of nothing",
            vec![frame(FIN, b"non-continuation"), whole(TEXT, b"hi")],
            Closes(1002),
        ),
        (
            "5.12 the same, with more to come",
            vec![frame(0, b"non-continuation")],
            Closes(1002),
        ),
        (
            "5.15 continuation after the end",
            vec![frame(TEXT, b"a"), frame(FIN, b"b"), frame(0, b"c")],
            Closes(1002),
        ),
        (
            "5.18 a second text within the first",
            vec![frame(TEXT, b"a"), whole(TEXT, b"b")],
            Closes(1002),
        ),
        (
            "a text begun within a text",
            vec![frame(TEXT, b"a"), frame(TEXT, b"b")],
            Closes(1002),
        ),
        (
            "a binary within a text",
            vec![frame(TEXT, b"a"), whole(BINARY, b"b")],
            Closes(1002),
        ),
        (
            "5.19 five, pings between",
            vec![
                frame(TEXT, b"1"),
                frame(0, b"2"),
                whole(PING, b"a"),
                frame(0, b"3"),
                frame(0, b""),
                whole(PING, b"b"),
                frame(FIN, b"5"),
            ],
            GoesOn,
        ),
        (
            "a fragment larger than any frame",
            vec![frame(TEXT, &[b'x'; 65 * 1024])],
            Closes(1009),
        ),
    ]
}

fn utf8() -> Vec<Case> {
    let (euro, smile) = ("€".as_bytes(), "😀".as_bytes());
    vec![
        (
            "6.1.1 empty, then in fragments that are empty",
            vec![whole(TEXT, b""), frame(TEXT, b""), frame(FIN, b"")],
            GoesOn,
        ),
        (
            "6.2.1 valid",
            vec![whole(TEXT, "Hello-µ@ßöäüàá-UTF-8!!".as_bytes())],
            GoesOn,
        ),
        (
            "6.2.3 parted within characters",
            [
                vec![frame(TEXT, &euro[..1])],
                euro[1..].iter().map(|byte| frame(0, &[*byte])).collect(),
                vec![frame(FIN, smile)],
            ]
            .concat(),
            GoesOn,
        ),
        (
            "6.3.1 surrogates",
            vec![whole(TEXT, b"\xce\xba\xed\xa0\x80edited")],
            Closes(1007),
        ),
        (
            "6.3.2 the same in fragments",
            vec![
                frame(TEXT, b"\xce\xba\xed"),
                frame(0, b"\xa0\x80"),
                frame(FIN, b"edited"),
            ],
            Closes(1007),
        ),
        (
            "6.4.1 wrong in the second fragment",
            vec![
                frame(TEXT, b"ok"),
                frame(0, b"\xf4\x90\x80\x80"),
                frame(FIN, b"ok"),
            ],
            Closes(1007),
        ),
        (
            "6.6 a character that does not end",
            vec![whole(TEXT, &euro[..2])],
            Closes(1007),
        ),
        (
            "the same in fragments",
            vec![frame(TEXT, b"ok"), frame(FIN, &smile[..3])],
            Closes(1007),
        ),
        (
            "6.12 too long for what it says",
            vec![whole(TEXT, b"\xc0\xaf")],
            Closes(1007),
        ),
        (
            "6.20 beyond Unicode",
            vec![whole(TEXT, b"\xf7\xbf\xbf\xbf")],
            Closes(1007),
        ),
        (
            "binary need not be text",
            vec![
                frame(BINARY, b"\xff"),
                frame(FIN, b"\xfe"),
                whole(BINARY, b"\xc0"),
            ],
            GoesOn,
        ),
    ]
}

fn closes() -> Vec<Case> {
    let mut cases = vec![
        (
            "7.1.1 text, then close",
            vec![whole(TEXT, b"hi"), close(1000, b"")],
            Closes(1000),
        ),
        (
            "7.1.2 close twice",
            vec![close(1000, b""), close(1000, b"")],
            Closes(1000),
        ),
        (
            "7.1.3 ping after close",
            vec![[close(1000, b""), whole(PING, b"")].concat()],
            Closes(1000),
        ),
        (
            "7.1.4 text after close",
            vec![[close(1000, b""), whole(TEXT, b"hi")].concat()],
            Closes(1000),
        ),
        (
            "7.1.5 close within a text",
            vec![[frame(TEXT, b"frag"), close(1000, b"")].concat()],
            Closes(1000),
        ),
        ("7.3.1 without code", vec![whole(CLOSE, b"")], Closes(1000)),
        (
            "7.3.2 with half a code",
            vec![whole(CLOSE, b"\x03")],
            Closes(1002),
        ),
        (
            "7.3.5 with a reason of 123",
            vec![close(1000, &[b'*'; 123])],
            Closes(1000),
        ),
        (
            "7.3.6 with a reason of 124",
            vec![close(1000, &[b'*'; 124])],
            Closes(1002),
        ),
        (
            "7.5.1 with a reason that is not UTF-8",
            vec![close(1000, b"\xce\xba\xed\xa0\x80")],
            Closes(1002),
        ),
    ];
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        cases.push(("7.7 valid code", vec![close(code, b"")], Closes(1000)));
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        cases.push((
            "7.9 and 7.13 invalid code",
            vec![close(code, b"")],
            Closes(1002),
        ));
    }
    cases
}

/// Sends what a case says, and sees what the gateway does.
async fn outcome(gateway: &str, path: &str, parts: &[Vec<u8>]) -> Then {
    let mut socket = RawConnection::to(gateway).await;
    socket.upgrade(path).await;
    for part in [parts, &[whole(PING, b"still there?")]].concat() {
        // It may be closed before all is sent.
        if socket.send(&part).await.is_err() {
            break;
        }
    }
    while let Some((first, payload)) = socket.frame().await {
        match (first & 0x0f, &payload[..]) {
            (PONG, b"still there?") => return GoesOn,
            (CLOSE, [high, low, reason @ ..]) => {
                assert!(std::str::from_utf8(reason).is_ok() && payload.len() <= 125);
                assert_eq!(socket.frame().await, None, "nothing comes after a close");
                return Closes(u16::from_be_bytes([*high, *low]));
            }
            (PING | PONG, _) => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("the connection ends without a close")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_the_protocol_ends_as_the_protocol_says() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    let mut other = Subscriber::connect(&stack.gateway.ws(&path)).await.unwrap();
    let cases = [
        framing(),
        pings_and_pongs(),
        reserved(),
        fragments(),
        utf8(),
        closes(),
    ]
    .concat();
    // Each waits for the end of its connection: many at once.
    let outcomes: Vec<Then> = stream::iter(&cases)
        .map(|(_, parts, _)| outcome(stack.gateway.address(), &path, parts))
        .buffered(50)
        .collect()
        .await;
    let mut wrong = Vec::new();
    for ((name, parts, expected), is) in cases.iter().zip(outcomes) {
        if is != *expected {
            wrong.push(format!(
                "{name}: {is:?}, and {expected:?} is right; sent {:02x?}",
                parts.first().map(|p| &p[..p.len().min(12)])
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Somebody else's socket is not touched by any of it.
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    assert_eq!(other.message().await["snapshot"]["patch"][0]["value"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_with_its_own_payload_and_pings_are_answered_in_order() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let mut socket = RawConnection::to(stack.gateway.address()).await;
    socket.upgrade(&format!("/ws/{id}")).await;
    let payloads: Vec<Vec<u8>> = (0..10)
        .map(|size| vec![size; usize::from(size) * 12])
        .collect();
    let pings: Vec<u8> = payloads
        .iter()
        .flat_map(|payload| whole(PING, payload))
        .collect();
    socket.send(&pings).await.unwrap();
    for payload in payloads {
        assert_eq!(socket.frame().await, Some((FIN | PONG, payload)));
    }
}

/// A message of many frames that the socket takes bit by bit: what was written of it ends somewhere in
/// a frame, and a pong must neither go there nor wait for the end of the message.
#[tokio::test(flavor = "multi_thread")]
async fn a_pong_and_a_close_go_between_the_frames_of_a_big_message() {
    let stack = Stack::start();
    let text = "0123456789".repeat(400_000);
    let (id, _) = stack.api.create(json!({ "text": text })).await;
    let mut socket = RawConnection::with_small_buffer(stack.gateway.address()).await;
    socket.upgrade(&format!("/ws/{id}?after=0")).await;
    let (first, mut message) = socket.frame().await.unwrap();
    assert_eq!(first, TEXT, "the first of several");
    for said in [b"one", b"two"] {
        socket.send(&whole(PING, said)).await.unwrap();
        loop {
            let (first, payload) = socket.frame().await.unwrap();
            if first == FIN | PONG {
                assert_eq!(payload, said);
                break;
            }
            assert_eq!(first, 0, "a frame in the middle of the message");
            message.extend(payload);
        }
    }
    socket.send(&close(1000, b"")).await.unwrap();
    loop {
        let (first, payload) = socket.frame().await.unwrap();
        if first == FIN | CLOSE {
            break;
        }
        assert_eq!(first, 0, "a frame in the middle of the message");
        message.extend(payload);
    }
    let whole = format!(r#""value":"{text}"#);
    let message = String::from_utf8(message).unwrap();
    let begin = message.find(r#""value":"0"#).unwrap();
    assert!(whole.starts_with(&message[begin..]));
}
