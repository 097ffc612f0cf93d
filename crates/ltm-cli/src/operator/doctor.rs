//! `ltm doctor`: says how Redis is set up, and what to change.

use indicatif::ProgressBar;
use ltm_store::{Finding, Inspector, Redis, RedisSettings, Role, Severity};
use serde_json::json;

use super::redis_args::RedisArgs;
use crate::{
    error::Error,
    terminal::{Accent, Output},
};

/// The arguments of `ltm doctor`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Which Redis.
    #[command(flatten)]
    redis: RedisArgs,
    /// How many replicas the services wait for, where that is not what redis.wait_replicas says
    #[arg(long, value_name = "N")]
    wait_replicas: Option<u32>,
    /// A user of Redis, to see whether it may do what the API does
    #[arg(long, value_name = "NAME")]
    api_user: Option<String>,
    /// The same for what the gateway does
    #[arg(long, value_name = "NAME")]
    gateway_user: Option<String>,
}

/// Prints what was looked at; fails where a promise cannot hold.
pub(crate) async fn run(args: &Args, output: Output) -> Result<(), Error> {
    let settings = args.redis.settings()?;
    let redis = Redis::open(&RedisSettings {
        wait_replicas: args.wait_replicas.unwrap_or(settings.wait_replicas),
        ..settings
    })?;
    let mut findings = Inspector::new(redis.clone()).findings().await?;
    findings.extend(redis.checkup(&users(args)).await?);
    findings.extend(strays(&redis, output).await);
    print(&findings, output)?;
    let failed = |finding: &&Finding| finding.severity == Severity::Failure;
    match findings.iter().filter(failed).count() {
        0 => Ok(()),
        count => Err(Error::Ended(format!(
            "{count} of {} checks failed: what is promised does not hold on this Redis",
            findings.len()
        ))),
    }
}

/// The users to look at.
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
            output.line(&json!(finding).to_string())?;
            continue;
        }
        let (mark, advice) = match finding.severity {
            Severity::Good => ("good".to_owned(), ""),
            Severity::Warning => (output.accent(Accent::Kind, "warning"), finding.advice),
            Severity::Failure => (output.accent(Accent::Alert, "failure"), finding.advice),
        };
        let is = match &finding.server {
            Some(server) => format!("{server}: {}", finding.is),
            None => finding.is.clone(),
        };
        table.add_row([&mark, finding.check, &is, advice]);
    }
    if !output.json() {
        output.line(&table.to_string())?;
    }
    Ok(())
}

/// How many keys that do not belong are named.
const NAMED: usize = 20;

/// Keys that do not belong together; where the user may not look, that is what is said.
async fn strays(redis: &Redis, output: Output) -> Vec<Finding> {
    let bar = ProgressBar::new_spinner();
    let seen = |keys: u64| bar.set_message(format!("{keys} keys looked at"));
    let found = redis.strays(NAMED, seen).await;
    bar.finish_and_clear();
    let told = |severity, is, advice| Finding::new("keys", severity, is, advice);
    match found {
        Ok(strays) if strays.count == 0 => {
            vec![told(Severity::Good, "all belong together".into(), "")]
        }
        Ok(strays) => {
            let named = strays.findings.len() as u64;
            if strays.count > named {
                output.note(&format!("{} more keys do not belong", strays.count - named));
            }
            strays.findings
        }
        Err(error) => vec![told(
            Severity::Warning,
            format!("not looked at: {error}"),
            "allow scan, hget, xrevrange, exists and pttl to this user",
        )],
    }
}
