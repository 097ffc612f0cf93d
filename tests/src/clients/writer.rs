//! An engine that writes to an LTM all the time, whatever happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use crate::{Api, FAILOVER_LIMIT, LIMIT, until_within};

/// Writes 0, 1, 2… to one LTM, each until it is acknowledged.
pub struct Writer {
    task: JoinHandle<usize>,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts writing.
    pub fn start(api: &Api, id: u64) -> Self {
        let (stop, written) = (Arc::default(), Arc::default());
        let task = write(api.clone(), id, Arc::clone(&stop), Arc::clone(&written));
        Self {
            task: tokio::spawn(task),
            stop,
            written,
        }
    }

    /// Waits until this many more writes are acknowledged.
    pub async fn until_more(&self, count: usize) {
        let wanted = self.written.load(Ordering::SeqCst) + count;
        let what = format!("the API has acknowledged {wanted} writes");
        until_within(FAILOVER_LIMIT + LIMIT, &what, async || {
            assert!(!self.task.is_finished(), "the writer has failed");
            let written = self.written.load(Ordering::SeqCst);
            if written < wanted {
                Err(written)
            } else {
                Ok(())
            }
        })
        .await;
    }

    /// Stops writing. Returns how many writes were acknowledged.
    pub async fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("it writes to the end")
    }
}

async fn write(api: Api, id: u64, stop: Arc<AtomicBool>, written: Arc<AtomicUsize>) -> usize {
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            return number;
        }
        let began = Instant::now();
        // Not `until`: its closure borrows, and a task of the runtime must be `Send`.
        while !acknowledged(&api, id, number).await {
            let waited = began.elapsed();
            assert!(waited < FAILOVER_LIMIT, "{number} is never acknowledged");
            sleep(Duration::from_millis(20)).await;
        }
        written.fetch_add(1, Ordering::SeqCst);
    }
    unreachable!("there is always another number")
}

async fn acknowledged(api: &Api, id: u64, number: usize) -> bool {
    let body = json!({"reason": "execute", "item": number, "merge": {"n": number}});
    let request = api.request(Method::POST, &format!("/ltm/{id}/snapshots"));
    let key = format!("{id}-{number}");
    let request = request.header("Idempotency-Key", key).json(&body);
    let answer = api.send(request).await;
    let acknowledged = answer.status == 201;
    if !acknowledged {
        answer.problem(503, "unavailable");
    }
    acknowledged
}

/// The items written to an LTM, in the order of its history.
pub async fn items(api: &Api, id: u64) -> Vec<usize> {
    let document = api.document(id).await;
    let snapshots = document["snapshots"].as_array().expect("snapshots");
    let item = |snapshot: &Value| snapshot["item"].as_u64().expect("a number") as usize;
    snapshots[1..].iter().map(item).collect()
}
