//! `ltm create`.

use ltm_client::Client;
use ltm_types::LtmId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{error::Error, json_argument::JsonArgument, terminal::Output};

/// The arguments of `ltm create`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The class of the LTM: app.Agent
    fqn: String,
    /// Your own id of it, such as a UUID: gets the LTM of the class that has this key, or creates it
    #[arg(long)]
    key: Option<String>,
    /// If the LTM with the key was deleted, give the key to a new LTM
    #[arg(long, requires = "key")]
    reuse: bool,
    /// Its name [default: the last word of the class]
    #[arg(long)]
    name: Option<String>,
    /// Its initial state, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    state: Option<JsonArgument>,
    /// The payload that it was started with, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    payload: Option<JsonArgument>,
    /// Its parameters, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    params: Option<JsonArgument>,
    /// Its states and transitions, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    structure: Option<JsonArgument>,
    /// Create it on the playground
    #[arg(long)]
    playground: bool,
    /// Its id [default: the next free one]
    #[arg(long, value_name = "N")]
    id: Option<LtmId>,
    /// Its retention rules, if they differ from the settings:
    /// '{"max_entries": 1000, "max_age": "720h", "idle_ttl": null}'
    #[arg(long, value_name = "FILE|JSON")]
    retention: Option<JsonArgument>,
}

/// The body of a creation.
#[derive(Debug, Serialize)]
pub(crate) struct NewLtm<'a> {
    pub(crate) fqn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<&'a str>,
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
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    fn raw(argument: Option<&JsonArgument>) -> Option<&RawValue> {
        argument.map(JsonArgument::raw)
    }
    let created = client
        .producer()
        .create(&NewLtm {
            fqn: &args.fqn,
            key: args.key.as_deref(),
            name: args.name.as_deref(),
            params: raw(args.params.as_ref()),
            payload: raw(args.payload.as_ref()),
            playground: args.playground,
            structure: raw(args.structure.as_ref()),
            state: raw(args.state.as_ref()),
            id: args.id,
            retention: raw(args.retention.as_ref()),
        })
        .reuse(args.reuse)
        .send()
        .await?;
    if output.json() {
        return output.json_line(&created.text);
    }
    let (id, cursor) = (created.id, created.cursor);
    let found = if created.created { "" } else { ", not new" };
    output.line(&format!("LTM {id}, cursor {cursor}{found}"))
}
