//! An API whose calls are repeated until it can be reached.

use std::time::Duration;

use ltm_client::{Client, Error, Producer, Write};
use ltm_types::{LtmId, ProblemKind};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::terminal::Output;

/// The pause before the next call if the API cannot be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// The API of one server. While it cannot be reached, a call waits; what Flou publishes meanwhile is buffered.
pub(super) struct PatientApi {
    pub(super) client: Client,
    pub(super) output: Output,
}

impl PatientApi {
    /// The document of an LTM with its rollbacks, as JSON text.
    pub(super) async fn document(&self, id: LtmId) -> Result<String, Error> {
        let call = async || self.client.document(id, true).await;
        Ok(self.persist(call).await?.text().to_owned())
    }

    /// Whether the server has this LTM.
    pub(super) async fn has(&self, id: LtmId) -> Result<bool, Error> {
        match self.last_index(id).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(ProblemKind::UnknownLtm) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The index of the LTM's last snapshot.
    pub(super) async fn last_index(&self, id: LtmId) -> Result<i64, Error> {
        let call = async || self.client.state(id, None, None).await;
        Ok(self.persist(call).await?.index)
    }

    /// Sends a write under this idempotency key, so that it lands once.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        key: &str,
        write: impl for<'p> Fn(&'p Producer) -> Write<'p, T>,
    ) -> Result<(), Error> {
        let producer = self.client.producer();
        let call = async || {
            let write = write(&producer).idempotency_key(key.to_owned());
            write.send().await
        };
        self.persist(call).await.map(drop)
    }

    async fn persist<T>(&self, call: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        let mut noted = false;
        loop {
            match call().await {
                Err(error) if error.is_unreachable() => {
                    if !noted {
                        self.output.note_retry(&error);
                    }
                    noted = true;
                    sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}
