//! The Rust client, for setup and checks: it creates LTMs, fills their logs and compares the state at the end.
//!
//! Measurements use bare sockets (`load`). A client that does more for each message would take CPU time from the
//! services on the same machine, and the figures would include it.

use futures_util::StreamExt;
use ltm_client::{Client, Created, LtmId, Status};
use serde_json::{Value, json, value::RawValue};
use tokio::runtime::{Builder, Runtime};

use crate::error::Error;

/// A client with its own connections, for one thread.
pub(crate) struct LtmClient {
    runtime: Runtime,
    api: Client,
    gateway: Client,
}

impl LtmClient {
    /// A client of an API and a gateway at `host:port`.
    pub(crate) fn new(api: &str, gateway: &str) -> Result<Self, Error> {
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            api: Client::new(&format!("http://{api}"))?,
            gateway: Client::new(&format!("http://{gateway}"))?,
        })
    }

    /// Creates an LTM with this state.
    pub(crate) fn create(&self, state: &Value) -> Result<Created, Error> {
        let producer = self.api.producer();
        let new = json!({"fqn": "bench.Ltm", "state": state});
        Ok(self.runtime.block_on(producer.create(&new).send())?.value)
    }

    /// Appends a snapshot with this body.
    pub(crate) fn append(&self, id: LtmId, body: &str) -> Result<(), Error> {
        let body: &RawValue = serde_json::from_str(body).map_err(ltm_client::Error::Input)?;
        let producer = self.api.producer();
        self.runtime.block_on(producer.append(id, body).send())?;
        Ok(())
    }

    /// Checks that a subscriber has the state that the API has. No producer writes any more.
    pub(crate) fn check(&self, id: LtmId) -> Result<(), Error> {
        self.runtime.block_on(async {
            let mut views = self.gateway.views(id);
            let seen = loop {
                match views.next().await {
                    Some(Ok((_, view))) if view.status == Status::Live => break view,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(Error::Delivery(format!("LTM {id} was deleted"))),
                }
            };
            let there = self.api.state(id, None, None).await?;
            if seen.cursor == Some(there.cursor) && seen.state.as_object() == Some(&there.state) {
                return Ok(());
            }
            let at = seen.cursor.map(|cursor| cursor.to_string());
            let (at, cursor) = (at.unwrap_or_default(), there.cursor);
            Err(Error::Delivery(format!(
                "a subscriber of LTM {id} has a different state at {at} than the API at {cursor}"
            )))
        })
    }
}
