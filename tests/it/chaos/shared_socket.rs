//! A follower of all LTMs on one WebSocket.

use std::{collections::BTreeMap, time::Duration};

use ltm_tests::{Heard, Subscriber};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    PATIENCE,
    follower::{End, Received},
    story::Story,
};

/// Follows several LTMs on one socket. After each disconnect it resumes all of them at the next gateway.
pub(crate) struct SharedSocket {
    pub(crate) name: String,
    pub(crate) urls: Vec<String>,
    pub(crate) story: Story,
    /// The LTMs by their ids.
    pub(crate) ltms: BTreeMap<u64, (End, Received)>,
}

impl SharedSocket {
    /// Follows until it is at the end of each LTM.
    pub(crate) async fn run(self) {
        for url in self.urls.iter().cycle() {
            if self.arrived() {
                return;
            }
            let url = format!("{url}/ws");
            if let Ok(Ok(subscriber)) = timeout(PATIENCE, Subscriber::connect(&url)).await {
                self.receive(subscriber).await;
                self.story.tell(&self.name, "is disconnected");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn arrived(&self) -> bool {
        let at_end =
            |(end, received): &(End, Received)| *end.lock().unwrap() == Some(received.cursor());
        self.ltms.values().all(at_end)
    }

    /// Follows all LTMs on this socket, until it or one of them ends.
    async fn receive(&self, mut subscriber: Subscriber) {
        for (id, (_, received)) in &self.ltms {
            let after = received.cursor();
            self.story
                .tell(&self.name, format_args!("follows {id} after {after}"));
            let follow = json!({"follow": id, "after": after.to_string()});
            if !subscriber.say(&follow.to_string()).await {
                return;
            }
        }
        while let Ok(Heard::Message(message)) = timeout(PATIENCE, subscriber.hear()).await {
            if message.get("end").is_some() {
                return;
            }
            let (_, received) = &self.ltms[&message["id"].as_u64().unwrap()];
            received.push(&self.name, &message, &self.story);
            if self.arrived() {
                return;
            }
        }
    }
}
