//! `ltm revoke`.

use ltm_client::{Client, Revocable};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{error::Error, terminal::Output, text::printable};

/// The arguments of `ltm revoke`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    credential: Credential,
    /// Revoke it until this time, in seconds since 1970 [default: for ever]
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "Credential",
        conflicts_with = "lift"
    )]
    until: Option<u64>,
    /// Make it valid again
    #[arg(long, requires = "Credential")]
    lift: bool,
}

/// The credential; without one, the command lists what is revoked.
#[derive(clap::Args, Debug)]
#[group(multiple = false)]
struct Credential {
    /// The API keys of this name
    #[arg(long, value_name = "NAME")]
    api_key: Option<String>,
    /// All JWTs with this `sub`
    #[arg(long, value_name = "SUB")]
    sub: Option<String>,
    /// The JWT with this `jti`
    #[arg(long, value_name = "JTI")]
    jti: Option<String>,
}

impl Credential {
    fn revocable(&self) -> Option<Revocable> {
        let Self { api_key, sub, jti } = self;
        let api_key = api_key.clone().map(Revocable::ApiKey);
        let sub = || sub.clone().map(Revocable::Sub);
        let jti = || jti.clone().map(Revocable::Jti);
        api_key.or_else(sub).or_else(jti)
    }
}

#[derive(Deserialize)]
struct Row {
    api_key: Option<String>,
    sub: Option<String>,
    jti: Option<String>,
    until: Option<u64>,
}

/// Revokes a credential, makes it valid again, or lists the revoked ones.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let Some(credential) = args.credential.revocable() else {
        return list(client, output).await;
    };
    if args.lift {
        #[derive(Deserialize)]
        struct Answer {
            lifted: bool,
        }
        let answer = client.lift_revocation(&credential).await?;
        if output.json() {
            return output.json_line(answer.text());
        }
        return match answer.read::<Answer>()?.lifted {
            true => output.line("the credential is valid again"),
            false => Err(Error::Ended("the credential was not revoked".into())),
        };
    }
    let answer = client.revoke(&credential, args.until).await?;
    if output.json() {
        return output.json_line(answer.text());
    }
    output.line("the credential is revoked")
}

async fn list(client: &Client, output: Output) -> Result<(), Error> {
    let answer = client.revocations().await?;
    let texts: Vec<&RawValue> = answer.read()?;
    let mut table = output.table(&["kind", "credential", "until"]);
    for row in &texts {
        if output.json() {
            output.json_line(row.get())?;
            continue;
        }
        let row: Row = answer.part(row.get())?;
        let named = [("api key", row.api_key), ("sub", row.sub), ("jti", row.jti)];
        let named = named
            .into_iter()
            .find_map(|(kind, text)| Some((kind, text?)));
        let (kind, text) = named.unwrap_or_default();
        let until = row
            .until
            .map_or_else(String::new, |until| until.to_string());
        table.add_row([kind.to_owned(), printable(&text), until]);
    }
    if output.json() {
        return Ok(());
    }
    if texts.is_empty() {
        output.note("no credential is revoked");
        return Ok(());
    }
    output.line(&table.trim_fmt())
}
