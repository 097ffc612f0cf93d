//! Copies, which get ids of their own.

use reqwest::Method;
use serde_json::json;

use super::Guarded;

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_read_the_copy_is_refused_before_it_is_made() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let copy = async |token: String| {
        let path = format!("/ltm/{id}/copy");
        let request = guarded.api.request(Method::POST, &path);
        guarded.send(request, &token).await
    };
    let (status, problem) = copy(guarded.token(json!([id, "lib.*"]), "write")).await;
    assert_eq!(status, 403, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("app.Agent") && detail.contains("id of its own"),
        "{detail}"
    );

    let (status, copied) = copy(guarded.token("app.*", "write")).await;
    assert_eq!(status, 200, "{copied}");
    // Nobody has taken the ids between.
    assert_eq!(copied["copy_id"], id + 1);
    let read = guarded
        .api
        .request(Method::GET, &format!("/ltm/{}", id + 1));
    assert_eq!(
        guarded.send(read, &guarded.token("app.*", "read")).await.0,
        200
    );
}
