//! The rollbacks of an LTM, page by page.

use ltm_tests::{Stack, binary};
use serde_json::{Value, json};

use super::{count, counted, numbers, rollback};

#[tokio::test(flavor = "multi_thread")]
async fn rollbacks_are_listed_page_by_page_without_what_they_took_out() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 4).await;
    let replay = json!({"snapshot": {"index": 3, "replay": true}});
    let bodies = [
        json!({"snapshot": {"index": 1}}),
        json!({"rollback": {"index": 0}}),
        replay,
    ];
    let mut cursors = Vec::new();
    for body in bodies {
        let answer = rollback(api, id, body).await.expect(200);
        cursors.push(answer["cursor"].clone());
    }
    let path = format!("/ltm/{id}/rollbacks");
    let mut page = api.get(&path).await.expect(200);
    for row in page["rollbacks"].as_array_mut().unwrap() {
        let time = row.as_object_mut().unwrap().remove("time");
        assert!(time.unwrap().as_str().unwrap().ends_with('Z'));
    }
    let row = |index: usize, reason: &str, kept: Value, undone: Value, before: u64, after: u64| {
        json!({"index": index, "cursor": cursors[index], "reason": reason, "snapshot_index": kept,
            "rollback_index": undone, "snapshots_before": before, "snapshots_count": after})
    };
    assert_eq!(
        page["rollbacks"],
        json!([
            row(0, "manual", json!(1), Value::Null, 5, 2),
            row(1, "recover rollback", Value::Null, json!(0), 2, 5),
            row(2, "replay", json!(2), Value::Null, 5, 3),
        ])
    );
    assert_eq!(page["cursor"], cursors[2]);
    assert_eq!(
        (
            &page["from"],
            &page["first_rollback"],
            &page["rollbacks_count"]
        ),
        (&json!(0), &json!(0), &json!(3))
    );
    let first = api.get(&format!("{path}?limit=2")).await;
    let link = format!("</api/v0{path}?from=2&limit=2>; rel=\"next\"");
    assert_eq!(first.header("link"), link);
    assert_eq!(first.expect(200)["rollbacks"].as_array().unwrap().len(), 2);
    let last = api.get(&format!("{path}?from=2&limit=2")).await;
    assert_eq!(last.header("link"), "");
    assert_eq!(last.expect(200)["rollbacks"][0]["index"], 2);
    let document = api.document(id).await;
    assert_eq!(document["rollbacks_count"], 3);
    api.get("/ltm/99/rollbacks")
        .await
        .problem(404, "unknown-ltm");
    let wrong = api.get(&format!("{path}?limit=0")).await;
    assert_eq!(wrong.problem(422, "invalid-request")["field"], "limit");
}

/// A document has a page of the histories that rollbacks took out: so its size and the work for it are bounded.
async fn all_rollbacks(stack: &Stack, id: u64) -> (Vec<Value>, usize) {
    let (mut all, mut pages, mut from) = (Vec::new(), 0, json!(0));
    while !from.is_null() {
        let asked = if from == 0 { "rollbacks=true" } else { "" };
        let path = format!("/ltm/{id}?{asked}&from_rollback={from}");
        let document = stack.api.get(&path).await.expect(200);
        assert_eq!(document["first_rollback"], from);
        all.extend(document["rollbacks"].as_array().unwrap().iter().cloned());
        from = document["next_rollback"].clone();
        pages += 1;
    }
    (all, pages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_has_at_most_a_hundred_rollbacks_and_says_where_the_next_page_begins() {
    let stack = Stack::start();
    let id = counted(&stack.api, 1).await;
    for n in 0..105 {
        let body = json!({"snapshot": {"index": 0}});
        rollback(&stack.api, id, body).await.expect(200);
        count(&stack.api, id, [n].into_iter()).await;
    }
    let (all, pages) = all_rollbacks(&stack, id).await;
    assert_eq!((all.len(), pages), (105, 2));
    for (nth, taken_out) in all.iter().enumerate() {
        let n = u64::try_from(nth).unwrap().checked_sub(1).unwrap_or(1);
        assert_eq!(taken_out["state"], json!({"n": n}), "rollback {nth}");
        assert_eq!(numbers(taken_out), [0, n], "rollback {nth}");
    }
    // The command puts the pages together.
    let mut command = std::process::Command::new(binary("ltm"));
    let url = stack.api_service.http();
    command
        .env("LTM_URL", url)
        .args(["--json", "get", &id.to_string(), "--rollbacks"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let shown: Value = serde_json::from_slice(&output.await.unwrap().stdout).unwrap();
    assert_eq!(
        (&shown["rollbacks"], &shown["first_rollback"]),
        (&json!(all), &json!(0))
    );
    assert_eq!(shown["next_rollback"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_rollbacks_ends_after_a_few_large_states() {
    let stack = Stack::start();
    let id = counted(&stack.api, 0).await;
    let texts = ["a", "b", "c"].map(|text| text.repeat(3 * 1024 * 1024));
    for text in &texts {
        stack.api.append(id, json!({"merge": {"text": text}})).await;
        let body = json!({"snapshot": {"index": 0}});
        rollback(&stack.api, id, body).await.expect(200);
    }
    let (all, pages) = all_rollbacks(&stack, id).await;
    assert_eq!(pages, 2);
    for (taken_out, text) in all.iter().zip(&texts) {
        assert!(taken_out["state"]["text"] == *text);
        assert_eq!(taken_out["snapshots"].as_array().unwrap().len(), 2);
    }
}
