//! LTMs that live briefly: each is created, followed, written and deleted while faults strike.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ltm_tests::{Api, Heard, LIMIT, Subscriber};
use ltm_types::Cursor;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    PATIENCE,
    story::{Failure, Story},
};

/// The pause between two LTMs.
const PAUSE: Duration = Duration::from_millis(100);
/// The snapshots after the first one.
const SNAPSHOTS: u64 = 3;

/// Creates and deletes LTMs, one after the other.
pub(crate) struct Churn {
    pub(crate) apis: Vec<String>,
    pub(crate) gateways: Vec<String>,
    pub(crate) story: Story,
    /// Whether a failover may take entries that a follower saw.
    pub(crate) may_fork: bool,
}

impl Churn {
    /// Runs until `stop` is set.
    pub(crate) async fn run(self, stop: Arc<AtomicBool>) -> Result<usize, Failure> {
        let mut count = 0;
        while !stop.load(Ordering::SeqCst) {
            let body = json!({"fqn": "tests.Churn"});
            let created = self.insist(Method::POST, "/ltm", &body, count).await?;
            let id = created["id"].as_u64().unwrap();
            let (written, followed) = tokio::join!(self.write(id), self.follow(id));
            written?;
            followed?;
            count += 1;
            sleep(PAUSE).await;
        }
        Ok(count)
    }

    async fn write(&self, id: u64) -> Result<(), Failure> {
        for n in 0..SNAPSHOTS {
            let path = format!("/ltm/{id}/snapshots");
            let body = json!({"reason": "execute", "merge": {"n": n}});
            let number = usize::try_from(n).unwrap();
            self.insist(Method::POST, &path, &body, number).await?;
        }
        self.insist(Method::DELETE, &format!("/ltm/{id}"), &Value::Null, 0)
            .await?;
        Ok(())
    }

    /// Repeats a request with one Idempotency-Key until it is answered. A deletion may find that it has happened.
    async fn insist(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        number: usize,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        for url in self.apis.iter().cycle() {
            let api = Api::impatient(url, PATIENCE);
            let mut request = api.request(method.clone(), path);
            if method == Method::POST {
                let key = format!("churn {path} {number}");
                request = request.header("Idempotency-Key", key).json(body);
            }
            if let Ok(response) = request.send().await {
                let status = response.status().as_u16();
                let text = response.text().await.unwrap_or_default();
                match (status, serde_json::from_str(&text)) {
                    (200 | 201, Ok(answer)) => return Ok(answer),
                    (410, _) if method == Method::DELETE => return Ok(Value::Null),
                    (503, _) | (_, Err(_)) => {}
                    _ => return Err(self.failure(format!("{path} answers {status}: {text}"))),
                }
            }
            if began.elapsed() > LIMIT {
                return Err(self.failure(format!("{method} {path} never gets an answer")));
            }
            sleep(Duration::from_millis(20)).await;
        }
        unreachable!("the attempts never end")
    }

    /// Follows an LTM until it hears that the LTM is gone. Each entry that it receives is the next one.
    async fn follow(&self, id: u64) -> Result<(), Failure> {
        let (began, mut cursor) = (Instant::now(), Cursor::ORIGIN);
        for url in self.gateways.iter().cycle() {
            if began.elapsed() > LIMIT {
                return Err(self.failure(format!("nobody hears that LTM {id} is gone")));
            }
            let url = format!("{url}/ws/{id}?after={cursor}");
            let Ok(Ok(mut subscriber)) = timeout(PATIENCE, Subscriber::connect(&url)).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            loop {
                match timeout(PATIENCE, subscriber.hear()).await {
                    Ok(Heard::Message(message)) => {
                        let next: Cursor = message["cursor"].as_str().unwrap().parse().unwrap();
                        // A deletion may come after entries that can no longer be read.
                        let deleted = message["deleted"] == true;
                        let forked = self.may_fork && message.get("reset").is_some();
                        if !deleted && !forked && next.seq != cursor.seq + 1 {
                            return Err(self.failure(format!("{message} comes after {cursor}")));
                        }
                        cursor = next;
                    }
                    Ok(Heard::Closed(4404 | 4410)) => return Ok(()),
                    _ => break,
                }
            }
        }
        unreachable!("the attempts never end")
    }

    fn failure(&self, what: String) -> Failure {
        let now = self.story.now();
        self.story.failure(what, "churn", (now, now), "")
    }
}
