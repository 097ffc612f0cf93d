//! A follower of the list of all LTMs.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use ltm_tests::{Heard, Subscriber};
use serde_json::Value;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::PATIENCE;

/// The rows of the list, as the follower has them.
#[derive(Clone, Default)]
pub(crate) struct LiveList(Arc<Mutex<Vec<Value>>>);

impl LiveList {
    /// The rows.
    pub(crate) async fn rows(&self) -> Vec<Value> {
        self.0.lock().await.clone()
    }

    /// Follows until it is aborted. After each disconnect it connects to the next gateway.
    pub(crate) async fn follow(self, urls: Vec<String>) {
        for url in urls.iter().cycle() {
            let url = format!("{url}/ws/ltms");
            if let Ok(Ok(mut subscriber)) = timeout(PATIENCE, Subscriber::connect(&url)).await {
                while let Ok(Heard::Message(message)) = timeout(PATIENCE, subscriber.hear()).await {
                    self.take(&message).await;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn take(&self, message: &Value) {
        let mut rows = self.0.lock().await;
        if let Some(reset) = message.get("reset") {
            *rows = reset["rows"].as_array().unwrap().clone();
        } else if let Some(change) = message.get("change") {
            let removed = change["removed"].as_array().unwrap();
            let changed = change["rows"].as_array().unwrap();
            let replaced = |row: &Value| changed.iter().any(|other| other["id"] == row["id"]);
            rows.retain(|row| !removed.contains(&row["id"]) && !replaced(row));
            rows.extend(changed.iter().cloned());
            rows.sort_by_key(|row| Reverse(row["id"].as_u64()));
        }
    }
}
