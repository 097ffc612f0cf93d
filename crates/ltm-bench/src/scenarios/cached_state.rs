//! The memory of the states that the API caches.

use serde_json::{Value, json};

use super::compression::recorded_state;
use crate::{
    error::Error,
    load::fill::fill,
    report::{Row, progress::Progress},
    targets::Target,
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// LTMs. The API keeps all of their states only if they fit `api.cache`.
    #[arg(long, default_value_t = 50)]
    pub(crate) ltms: usize,
    /// The bytes of each state, about. It consists of recorded snapshots, or of messages with a text.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) bytes: usize,
}

/// The bytes of the text of a message.
const TEXT: usize = 500;

/// Appends to LTMs with large states, and reads the memory of the API before and after.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let progress = Progress::new("cached-state".into(), 2);
    let objects = measure(target, load, &recorded_state(load.bytes)?)?;
    progress.at(1);
    let texts = measure(target, load, &messages(load.bytes))?;
    progress.at(2);
    let shown = format!("{} × {} kB", load.ltms, load.bytes / 1000);
    Ok(Row::new("cached-state", target.kind, shown)
        .with("bytes per byte: small objects", objects)
        .with("long texts", texts))
}

/// A state that is mostly texts: the messages of an agent.
fn messages(bytes: usize) -> Value {
    let message = |n| json!({"id": n, "role": "agent", "text": "x".repeat(TEXT)});
    let messages: Vec<Value> = (0..bytes.div_ceil(TEXT)).map(message).collect();
    json!({"text": "", "messages": messages})
}

/// How many bytes the API takes for each byte of such states.
fn measure(target: &Target, load: Load, state: &Value) -> Result<f64, Error> {
    let api = || {
        let api = target.process("ltm-api");
        api.map_or(f64::NAN, |api| api.memory() as f64)
    };
    // The memory that the first states need once does not count.
    fill(target, &target.channels(2, state)?, 1, 100)?;
    let before = api();
    fill(target, &target.channels(load.ltms, state)?, 1, 100)?;
    Ok((api() - before) / (load.ltms * state.to_string().len()) as f64)
}
