//! A recorder between an agent that the test plays and `ltm dev`.

use ltm_tests::{Agent, Api, Service, until};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The class of the agent.
pub(super) const AGENT: &str = "app.Agent";

/// A recorder, its agent and its services.
pub(super) struct Recorded {
    pub(super) agent: Agent,
    pub(super) recorder: Service,
    pub(super) dev: Service,
    pub(super) api: Api,
    http: Client,
    _data: TempDir,
}

impl Recorded {
    pub(super) async fn start(settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let dev = Service::dev(data.path());
        Self::with(dev, data, settings).await
    }

    pub(super) async fn with(dev: Service, data: TempDir, settings: &[(&str, &str)]) -> Self {
        let agent = Agent::start().await;
        let recorder = Service::recorder(&dev.http(), &agent.url(), settings);
        Self {
            api: Api::at(&dev),
            agent,
            recorder,
            dev,
            http: Client::new(),
            _data: data,
        }
    }

    /// Posts an input to the recorder.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Response {
        let url = format!("{}{path}", self.recorder.http());
        self.http.post(url).json(body).send().await.unwrap()
    }

    /// A page runs a thread in the background; nobody looks at its answer.
    pub(super) fn run(&self, thread: &str, run: &str) {
        self.call(&format!("/agui/{AGENT}/{thread}"), &input(thread, run));
    }

    /// As [`Recorded::run`], at any address.
    pub(super) fn call(&self, path: &str, body: &Value) {
        let url = format!("{}{path}", self.recorder.http());
        let asked = self.http.post(url).json(body).send();
        tokio::spawn(async move { asked.await.map(drop) });
    }

    /// The state of a thread.
    pub(super) async fn state(&self, thread: &str) -> Value {
        let answer = self.api.get(&format!("{}/state", path(thread))).await;
        answer.expect(200)["state"].clone()
    }

    /// Waits until the thread has this status, and returns its state.
    pub(super) async fn until_status(&self, thread: &str, status: &str) -> Value {
        until(&format!("{thread} is {status}"), async || {
            let answer = self.api.get(&format!("{}/state", path(thread))).await;
            let state = match answer.status.as_u16() {
                200 => answer.json()["state"].clone(),
                _ => Value::Null,
            };
            if state["_status"] == status {
                Ok(state)
            } else {
                Err(state)
            }
        })
        .await
    }

    /// The items of a thread's history that have this type.
    pub(super) async fn items(&self, thread: &str, kind: &str) -> Vec<Value> {
        let document = self.api.get(&path(thread)).await.expect(200);
        let snapshots = document["snapshots"].as_array().unwrap();
        let items = snapshots.iter().map(|it| it["item"].clone());
        items.filter(|it| it["type"] == kind).collect()
    }

    /// The errors of a thread.
    pub(super) async fn errors(&self, thread: &str) -> Vec<Value> {
        let document = self.api.get(&path(thread)).await.expect(200);
        document["errors"].as_array().unwrap().clone()
    }
}

/// The path of a thread's LTM in the API.
pub(super) fn path(thread: &str) -> String {
    format!("/ltm/by-key/{AGENT}/{thread}")
}

/// What a page sends.
pub(super) fn input(thread: &str, run: &str) -> Value {
    json!({
        "threadId": thread, "runId": run, "state": {},
        "messages": [{"id": format!("{run}-question"), "role": "user", "content": "Which way?"}],
        "tools": [], "context": [], "forwardedProps": {},
    })
}
