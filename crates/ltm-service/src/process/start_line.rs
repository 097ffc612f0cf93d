//! The first line of a service in the log.

use std::time::Duration;

use ltm_store::Redis;
use tokio::time::timeout;

use super::version::VERSION;

/// How long the first line waits for Redis.
const PATIENCE: Duration = Duration::from_secs(1);

/// Logs that a service starts. The line is a warning if Redis does not answer: the service then is not ready, and
/// becomes ready as soon as Redis answers.
pub async fn log_start(service: &str, redis: &Redis, traces: &str) {
    let address = redis.shown_address();
    let error = match timeout(PATIENCE, redis.ping()).await {
        Ok(Ok(())) => {
            tracing::info!(
                version = VERSION,
                redis = address,
                traces,
                "starting the {service}"
            );
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    tracing::warn!(
        version = VERSION,
        redis = address,
        traces,
        error,
        "starting the {service}; it is not ready until Redis answers"
    );
}
