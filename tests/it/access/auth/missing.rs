//! LTMs that are not there, for callers who may not see all.

use ltm_tests::{RawConnection, Subscriber};
use serde_json::json;

use super::{Guarded, sockets::end_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_ltm_that_is_not_there_cannot_wait_for_one_to_be_made() {
    let guarded = Guarded::start();
    let next = guarded.create("app.Agent").await + 1;
    let token = guarded.token("lib.*", "admin");
    // Whoever holds back the body would be let in to what is made meanwhile, whatever it is.
    let mut caller = RawConnection::to(guarded.api_service.address()).await;
    let head = format!(
        "POST /api/v0/ltm/{next}/snapshots HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    );
    caller.send(head.as_bytes()).await.unwrap();
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("http/1.1 404 "), "{head}{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_says_what_is_not_there_to_whoever_may_follow_some() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let deleted = guarded.create("app.Agent").await;
    let path = format!("/ltm/{deleted}");
    let request = guarded.api.request(reqwest::Method::DELETE, &path);
    guarded.send(request, &guarded.admin()).await;
    for (of, code) in [(deleted + 1, 4404), (deleted, 4410)] {
        for ltm in [json!("lib.*"), json!("*"), json!(id)] {
            let ticket = guarded.ticket(&guarded.token(ltm.clone(), "read")).await;
            let url = guarded.gateway.ws(&format!("/ws/{of}?ticket={ticket}"));
            let mut subscriber = Subscriber::connect(&url).await.unwrap();
            assert_eq!(end_of(&mut subscriber).await, code, "{ltm}");
        }
    }
}
