//! `ltm doctor`: checks the setup of Redis, and says what to change.

use comfy_table::Cell;
use indicatif::ProgressBar;
use ltm_store::{Finding, Inspector, Redis, RedisSettings, Role, Severity};
use serde_json::json;

use super::redis_args::RedisArgs;
use crate::{
    error::Error,
    terminal::{Accent, Output},
    text::printable,
};

/// The arguments of `ltm doctor`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The Redis to check.
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
    /// The number of replicas that a write waits for [default: the setting redis.wait_replicas]
    #[arg(long, value_name = "N")]
    wait_replicas: Option<u32>,
    /// The API's Redis user, to check its permissions
    #[arg(long, value_name = "NAME")]
    api_user: Option<String>,
    /// The gateway's Redis user, to check its permissions
    #[arg(long, value_name = "NAME")]
    gateway_user: Option<String>,
}

/// Prints the findings; fails if Redis cannot keep a promise.
pub(crate) async fn run(args: &Args, output: Output) -> Result<(), Error> {
    let settings = args.redis.settings()?;
    let redis = Redis::open(&RedisSettings {
        wait_replicas: args.wait_replicas.unwrap_or(settings.wait_replicas),
        ..settings
    })?;
    args.redis.note(&redis, output)?;
    let mut findings = Inspector::new(redis.clone()).findings().await?;
    findings.extend(redis.checkup(&users(args)).await?);
    findings.extend(strays(&redis, output).await);
    print(&findings, output)?;
    let failed = |finding: &&Finding| finding.severity == Severity::Failure;
    match findings.iter().filter(failed).count() {
        0 => Ok(()),
        count => Err(Error::Ended(format!(
            "{count} of {} checks failed: this Redis cannot keep all promises of ltm-live",
            findings.len()
        ))),
    }
}

/// The users to check.
fn users(args: &Args) -> Vec<(Role, &str)> {
    let users = [
        (Role::Api, &args.api_user),
        (Role::Gateway, &args.gateway_user),
    ];
    let named = |(role, user)| Option::as_deref(user).map(|user| (role, user));
    users.into_iter().filter_map(named).collect()
}

fn print(findings: &[Finding], output: Output) -> Result<(), Error> {
    let mut table = output.table(&["", "check", "is", "what to do"]);
    for finding in findings {
        if output.json() {
            output.json_line(&json!(finding).to_string())?;
            continue;
        }
        let (mark, advice) = match finding.severity {
            Severity::Good => (Cell::new("good"), ""),
            Severity::Warning => (output.accent_cell(Accent::Kind, "warning"), finding.advice),
            Severity::Failure => (output.accent_cell(Accent::Alert, "failure"), finding.advice),
        };
        let is = match &finding.server {
            Some(server) => format!("{server}: {}", finding.is),
            None => finding.is.clone(),
        };
        let texts = [finding.check, &printable(&is), advice];
        table.add_row([mark].into_iter().chain(texts.map(Cell::new)));
    }
    if !output.json() {
        output.line(&table.trim_fmt())?;
    }
    Ok(())
}

/// The most stray keys that are named.
const NAMED: usize = 20;

/// Keys that do not belong together; a warning if the user may not look for them.
async fn strays(redis: &Redis, output: Output) -> Vec<Finding> {
    let bar = ProgressBar::new_spinner();
    let seen = |keys: u64| bar.set_message(format!("{keys} keys checked"));
    let found = redis.strays(NAMED, seen).await;
    bar.finish_and_clear();
    let finding = |severity, is, advice| Finding::new("keys", severity, is, advice);
    match found {
        Ok(strays) if strays.count == 0 => {
            vec![finding(Severity::Good, "all belong together".into(), "")]
        }
        Ok(strays) => {
            let named = strays.findings.len() as u64;
            if strays.count > named {
                output.note(&format!(
                    "{} more keys do not belong together",
                    strays.count - named
                ));
            }
            strays.findings
        }
        Err(error) => vec![finding(
            Severity::Warning,
            format!("not checked: {error}"),
            "allow scan, hget, xrevrange, exists and pttl to this user",
        )],
    }
}
