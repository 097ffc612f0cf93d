//! `ltm doctor`: says how Redis is set up, and what to change.

use indicatif::ProgressBar;
use ltm_store::{Finding, Inspector, Redis, RedisSettings, Severity};
use serde_json::json;

use crate::{
    args::DoctorArgs,
    error::Error,
    output::{Accent, Output},
};

/// Prints what was looked at; fails where a promise cannot hold.
pub(crate) async fn run(args: &DoctorArgs, output: Output) -> Result<(), Error> {
    let settings = RedisSettings {
        url: args.redis.clone(),
        wait_replicas: args.wait_replicas,
        require_append_only: args.require_append_only,
        ..RedisSettings::default()
    };
    let redis = Redis::open(&settings)?;
    let mut findings = Inspector::new(redis.clone()).findings().await?;
    let checks = findings.len();
    findings.extend(strays(&redis, output).await);
    let mut table = output.table(&["", "check", "is", "what to do"]);
    for finding in &findings {
        if output.json() {
            output.line(&json!(finding).to_string())?;
            continue;
        }
        let (mark, advice) = match finding.severity {
            Severity::Good => ("good".to_owned(), ""),
            Severity::Warning => (output.accent(Accent::Kind, "warning"), finding.advice),
            Severity::Failure => (output.accent(Accent::Alert, "failure"), finding.advice),
        };
        table.add_row([&mark, finding.check, &finding.is, advice]);
    }
    if !output.json() {
        output.line(&table.to_string())?;
    }
    let failed = |severity| severity == Severity::Failure;
    match findings.iter().filter(|it| failed(it.severity)).count() {
        0 => Ok(()),
        count => Err(Error::Ended(format!(
            "{count} of {} checks failed: services on this Redis are not ready",
            checks
        ))),
    }
}

/// How many keys that do not belong are named.
const NAMED: usize = 20;

/// Keys that do not belong together; where the user may not look, that is what is said.
async fn strays(redis: &Redis, output: Output) -> Vec<Finding> {
    let bar = ProgressBar::new_spinner();
    let seen = |keys: u64| bar.set_message(format!("{keys} keys looked at"));
    let found = redis.strays(NAMED, seen).await;
    bar.finish_and_clear();
    let told = |severity, is: String, advice| Finding {
        check: "keys",
        severity,
        is,
        advice,
        server: None,
    };
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
