//! `ltm errors`.

use ltm_client::Client;
use ltm_types::LtmRef;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::Error,
    terminal::Output,
    text::{item_name, printable, to_the_second},
};

/// The arguments of `ltm errors`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
}

#[derive(Deserialize)]
struct Document {
    errors: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct RecordedError {
    reason: String,
    item: Box<RawValue>,
    #[serde(default)]
    retries: Vec<Attempt>,
    updated_at: String,
}

/// A failed attempt.
#[derive(Deserialize)]
struct Attempt {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    description: String,
}

/// Prints the errors that an LTM has recorded, oldest first.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let document = client.document(&args.ltm, false).await?;
    let errors = document.read::<Document>()?.errors;
    if output.json() {
        return errors.iter().try_for_each(|it| output.json_line(it.get()));
    }
    if errors.is_empty() {
        output.note(&format!("LTM {} has no errors", args.ltm));
        return Ok(());
    }
    let mut table = output.table(&["updated", "reason", "item", "attempts", "last error"]);
    for text in &errors {
        let error: RecordedError = document.part(text.get())?;
        let last = error.retries.last();
        let last = last.map_or_else(String::new, |last| {
            let parts = [last.r#type.as_str(), last.description.as_str()];
            parts
                .into_iter()
                .filter(|it| !it.is_empty())
                .collect::<Vec<_>>()
                .join(": ")
        });
        table.add_row([
            printable(to_the_second(&error.updated_at).as_ref()),
            printable(&error.reason),
            printable(&item_name(&error.item).unwrap_or_default()),
            error.retries.len().to_string(),
            printable(&last),
        ]);
    }
    output.line(&output.rows(table, &[1, 2, 4]))
}
