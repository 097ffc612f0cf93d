//! Tickets: what a page in a browser gets for its token, and shows once in the URL of a WebSocket. URLs end up in logs;
//! a ticket that is found there is worth nothing.

use std::time::Duration;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ltm_store::Redis;

use super::{AuthError, Caller};

/// The random bytes of a ticket.
const BYTES: usize = 32;

/// A new ticket.
pub struct Ticket {
    /// What is to be shown, once.
    pub text: String,
}

impl Ticket {
    /// Makes one for `caller`, good for `ttl`.
    ///
    /// # Errors
    ///
    /// [`AuthError::Store`] where Redis does not keep it.
    pub async fn give(redis: &Redis, caller: &Caller, ttl: Duration) -> Result<Self, AuthError> {
        let text = URL_SAFE_NO_PAD.encode(random::<BYTES>()?);
        let holds = serde_json::to_string(caller)
            .map_err(|e| AuthError::NoKeys(format!("a ticket cannot be written: {e}")))?;
        redis.keep_ticket(&name(&text), &holds, ttl).await?;
        Ok(Self { text })
    }
}

/// Who was given this ticket. It cannot be shown again.
pub(super) async fn take(redis: &Redis, ticket: impl AsRef<str>) -> Result<Caller, AuthError> {
    let taken = redis.take_ticket(&name(ticket.as_ref())).await?;
    let taken = taken.ok_or(AuthError::InvalidTicket)?;
    let caller: Caller = serde_json::from_str(&taken).map_err(|_| AuthError::InvalidTicket)?;
    if caller.time_left() == Some(Duration::ZERO) {
        let detail = "it has expired since the ticket was given for it";
        return Err(AuthError::InvalidToken(detail.into()));
    }
    Ok(caller)
}

/// Under which name a ticket is kept: who reads Redis cannot show it.
fn name(ticket: &str) -> String {
    hex::encode(digest(&SHA256, ticket.as_bytes()))
}

/// Random bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], AuthError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)
        .map_err(|_| AuthError::NoKeys("the system gives no random numbers".into()))?;
    Ok(bytes)
}
