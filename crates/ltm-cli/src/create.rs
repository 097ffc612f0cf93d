//! `ltm create`.

use ltm_client::Client;
use ltm_types::LtmId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{args::CreateArgs, error::Error, json::JsonArgument, output::Output};

/// What a creation is asked with.
#[derive(Debug, Serialize)]
pub(crate) struct NewLtm<'a> {
    pub(crate) fqn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<&'a RawValue>,
    pub(crate) playground: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) structure: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<LtmId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<&'a RawValue>,
}

/// Creates an LTM and prints its id.
pub(crate) async fn run(client: &Client, args: &CreateArgs, output: Output) -> Result<(), Error> {
    fn raw(argument: Option<&JsonArgument>) -> Option<&RawValue> {
        argument.map(JsonArgument::raw)
    }
    let created = client
        .producer()
        .create(&NewLtm {
            fqn: &args.fqn,
            name: args.name.as_deref(),
            params: raw(args.params.as_ref()),
            payload: raw(args.payload.as_ref()),
            playground: args.playground,
            structure: raw(args.structure.as_ref()),
            state: raw(args.state.as_ref()),
            id: args.id,
            retention: raw(args.retention.as_ref()),
        })
        .send()
        .await?;
    if output.json() {
        return output.line(&created.text);
    }
    let (id, cursor) = (created.id, created.cursor);
    output.line(&format!("LTM {id}, cursor {cursor}"))
}
