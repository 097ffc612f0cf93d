//! A reader of states, documents and copies, and the record of what it read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ltm_tests::{Api, apply, same};
use ltm_types::Cursor;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    PATIENCE,
    story::{Failure, Story},
};

/// The pause between two reads.
const PAUSE: Duration = Duration::from_millis(100);

/// The state that somebody saw at a cursor.
pub(crate) struct Observed {
    pub(crate) by: String,
    pub(crate) cursor: Cursor,
    pub(crate) state: Value,
}

/// Reads one LTM in every way, by turns at each API.
pub(crate) struct Reader {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) urls: Vec<String>,
    pub(crate) story: Story,
    /// Whether a fault or retention may take entries, so that what was there a moment ago may be gone.
    pub(crate) may_be_gone: bool,
}

impl Reader {
    /// Reads until `stop` is set.
    pub(crate) async fn run(self, stop: Arc<AtomicBool>) -> Result<Vec<Observed>, Failure> {
        let apis = self.urls.iter().map(|url| Api::impatient(url, PATIENCE));
        let apis: Vec<Api> = apis.collect();
        let mut observed = Vec::new();
        for (number, api) in apis.iter().cycle().enumerate() {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            match number % 5 {
                0 => observed.extend(self.copy(api).await?),
                1 | 2 => observed.extend(self.document(api).await?),
                _ => observed.extend(self.state(api).await?),
            }
            sleep(PAUSE).await;
        }
        Ok(observed)
    }

    async fn state(&self, api: &Api) -> Result<Option<Observed>, Failure> {
        let read = self.get(api, &format!("/ltm/{}/state", self.id)).await?;
        Ok(read.map(|state| observed("a state", &state)))
    }

    async fn document(&self, api: &Api) -> Result<Option<Observed>, Failure> {
        let read = self.get(api, &format!("/ltm/{}", self.id)).await?;
        let Some(document) = read else {
            return Ok(None);
        };
        self.folds("the document", &document)?;
        Ok(Some(observed("a document", &document)))
    }

    /// Copies the LTM up to the cursor that it has, and reads the copy.
    async fn copy(&self, api: &Api) -> Result<Option<Observed>, Failure> {
        let Some(Observed { cursor, .. }) = self.state(api).await? else {
            return Ok(None);
        };
        let path = format!("/ltm/{}/copy?until={cursor}", self.id);
        let Some(copied) = self.ask(api, Method::POST, &path).await? else {
            return Ok(None);
        };
        let read = self
            .get(api, &format!("/ltm/{}", copied["copy_id"]))
            .await?;
        let Some(copy) = read else { return Ok(None) };
        self.folds("the copy", &copy)?;
        let Observed { by, state, .. } = observed("a copy", &copy);
        Ok(Some(Observed { by, cursor, state }))
    }

    /// Checks that the history of a document leads to its state.
    fn folds(&self, what: &str, document: &Value) -> Result<(), Failure> {
        let mut state = json!({});
        for snapshot in document["snapshots"].as_array().unwrap() {
            if let Err(error) = apply(&mut state, &snapshot["patch"]) {
                return Err(self.failure(format!("{what} cannot be folded: {error}: {document}")));
            }
        }
        if same(&state, &document["state"]) {
            return Ok(());
        }
        Err(self.failure(format!("{what} leads to {state}: {document}")))
    }

    async fn get(&self, api: &Api, path: &str) -> Result<Option<Value>, Failure> {
        self.ask(api, Method::GET, path).await
    }

    /// The answer; `None` if none comes, or a fault explains it.
    async fn ask(&self, api: &Api, method: Method, path: &str) -> Result<Option<Value>, Failure> {
        let Ok(response) = api.request(method, path).send().await else {
            return Ok(None);
        };
        let status = response.status().as_u16();
        let Ok(text) = response.text().await else {
            return Ok(None);
        };
        match status {
            200 => match serde_json::from_str(&text) {
                Ok(read) => Ok(Some(read)),
                // A streamed answer breaks off if Redis fails meanwhile.
                Err(_) => Ok(None),
            },
            503 => Ok(None),
            404 | 409 | 410 | 422 if self.may_be_gone => Ok(None),
            _ => Err(self.failure(format!("{path} answers {status}: {text}"))),
        }
    }

    fn failure(&self, what: String) -> Failure {
        let now = self.story.now();
        self.story.failure(what, &self.name, (now, now), "")
    }
}

fn observed(by: &str, answer: &Value) -> Observed {
    Observed {
        by: by.to_owned(),
        cursor: answer["cursor"].as_str().unwrap().parse().unwrap(),
        state: answer["state"].clone(),
    }
}
