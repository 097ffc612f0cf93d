//! `ltm doctor`: says how Redis is set up, and what to change.

use ltm_store::{Inspector, Redis, RedisSettings, Severity};
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
    let findings = Inspector::new(Redis::open(&settings)?).findings().await?;
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
            findings.len()
        ))),
    }
}
