//! The services' own client, for what is done beside the measuring: it makes LTMs, fills their logs and checks what
//! is there at the end.
//!
//! What is measured is written and heard over bare sockets (`http`, `subscribers`): a client that does more for each message
//! takes its time from the services that share the machine, and the figures would be about it, too.

use futures_util::StreamExt;
use ltm_client::{Client, Created, LtmId, Status};
use serde_json::{Value, json, value::RawValue};
use tokio::runtime::{Builder, Runtime};

use crate::error::Error;

/// A client with a thread's own connections.
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

    /// Makes an LTM with this state.
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

    /// Whether a subscriber sees the state that the API has, when nobody writes any more.
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
                "a subscriber of LTM {id} sees another state at {at} than the API has at {cursor}"
            )))
        })
    }
}
