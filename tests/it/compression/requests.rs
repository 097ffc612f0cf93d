//! Engines may send the bodies of their requests with gzip.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use ltm_tests::{Answer, Stack, peak_bytes, resident_bytes};
use reqwest::Method;
use serde_json::json;

const MIB: usize = 1024 * 1024;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

async fn append(stack: &Stack, id: u64, coding: &str, body: Vec<u8>) -> Answer {
    let request = stack
        .api
        .request(Method::POST, &format!("/ltm/{id}/snapshots"))
        .header("content-type", "application/json")
        .header("content-encoding", coding)
        .body(body);
    stack.api.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_gzip_is_the_same_as_its_text() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let text = |n: usize| {
        let long = "long ".repeat(n * 20_000);
        json!({"reason": "x", "merge": {"n": n, "long": long}}).to_string()
    };
    let (first, second) = (text(1), text(2));
    append(&stack, id, "gzip", gzip(first.as_bytes()))
        .await
        .expect(201);
    // A body may have several members (RFC 1952 section 2.2).
    let (a, b) = second.split_at(7);
    let members = [gzip(a.as_bytes()), gzip(b""), gzip(b.as_bytes())].concat();
    append(&stack, id, "X-GZIP", members).await.expect(201);
    append(&stack, id, "identity", text(3).into())
        .await
        .expect(201);
    let snapshots = stack.api.document(id).await["snapshots"].clone();
    for (index, n) in [(1, 1), (2, 2), (3, 3)] {
        let patch = snapshots[index]["patch"].to_string();
        assert!(patch.contains(&format!(r#""value":{n}}}"#)), "{index}");
    }
    // The key knows the text, however it was sent.
    let key = ("idempotency-key", "k");
    let path = format!("/ltm/{id}/snapshots");
    let plain = stack.api.post_text(&path, &text(4), &[key]).await;
    let again = stack
        .api
        .request(Method::POST, &path)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .header(key.0, key.1)
        .body(gzip(text(4).as_bytes()));
    let again = stack.api.send(again).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201)["cursor"], plain.expect(201)["cursor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_coding_is_refused_with_the_one_that_is_known() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    for coding in ["zstd", "br", "deflate", "gzip, gzip"] {
        let refused = append(&stack, id, coding, gzip(b"{}")).await;
        assert_eq!(refused.header("accept-encoding"), "gzip", "{coding}");
        let problem = refused.problem(415, "unsupported-media-type");
        assert_eq!(problem["field"], "content-encoding", "{coding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_gzip_or_is_cut_is_refused() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let good = gzip(br#"{"reason":"x","merge":{}}"#);
    let mut wrong_sum = good.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    for body in [
        br#"{"reason":"x","merge":{}}"#.to_vec(),
        good[..good.len() - 1].to_vec(),
        good[..12].to_vec(),
        [&good[..], b"garbage"].concat(),
        wrong_sum,
        Vec::new(),
    ] {
        let refused = append(&stack, id, "gzip", body).await;
        let problem = refused.problem(422, "invalid-request");
        assert_eq!(problem["field"], "content-encoding", "{problem}");
    }
    append(&stack, id, "gzip", good).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_bounded_by_what_it_becomes() {
    let stack = Stack::with(&[("LTM__API__MAX_BODY", "1MiB")]);
    let (id, _) = stack.api.create(json!({})).await;
    append(&stack, id, "gzip", gzip(br#"{"reason":"x","merge":{}}"#))
        .await
        .expect(201);
    let bomb = gzip(&vec![b' '; 4 * MIB]).repeat(128);
    assert!(bomb.len() < MIB);
    let before = resident_bytes(stack.api_service.pid());
    append(&stack, id, "gzip", bomb)
        .await
        .problem(413, "body-too-large");
    let grown = peak_bytes(stack.api_service.pid()).saturating_sub(before);
    assert!(grown < 16 * MIB, "{grown} bytes");
    stack.api_service.until_logged("api.max_body").await;
    // Empty members become nothing, and are bounded as well.
    let empty = gzip(b"").repeat(MIB / 20 + 1);
    append(&stack, id, "gzip", empty)
        .await
        .problem(413, "body-too-large");
}
