//! Tickets: a page in a browser gets one for its token and presents it once, in the URL of a WebSocket. URLs end up in
//! logs; a used ticket that is found there is worthless.

use std::time::Duration;

use ltm_store::Redis;

use crate::{
    caller::Caller,
    error::{AuthError, MAX_TICKET_BYTES, TokenError},
    secret::{hash, random_text},
};

/// A new ticket.
pub struct Ticket {
    /// The text to present, once.
    pub text: String,
}

impl Ticket {
    /// Issues a ticket for `caller` that is valid for `ttl`.
    ///
    /// # Errors
    ///
    /// [`AuthError::TicketTooLarge`]; [`AuthError::Store`] if Redis does not store it, [`AuthError::Ticket`] if it cannot be
    /// made.
    pub async fn issue(redis: &Redis, caller: &Caller, ttl: Duration) -> Result<Self, AuthError> {
        let text = random_text()?;
        let holder = serde_json::to_string(caller).map_err(|e| AuthError::Ticket(Box::new(e)))?;
        if holder.len() > MAX_TICKET_BYTES {
            let bytes = holder.len();
            return Err(AuthError::TicketTooLarge { bytes });
        }
        redis.keep_ticket(&name(&text), &holder, ttl).await?;
        Ok(Self { text })
    }
}

/// The caller that a ticket was issued to. The ticket is used up.
pub(crate) async fn redeem(redis: &Redis, ticket: &str) -> Result<Caller, AuthError> {
    let holder = redis.take_ticket(&name(ticket)).await?;
    let holder = holder.ok_or(AuthError::InvalidTicket)?;
    let caller: Caller = serde_json::from_str(&holder).map_err(|_| AuthError::InvalidTicket)?;
    if caller.time_left() == Some(Duration::ZERO) {
        return Err(AuthError::InvalidToken(TokenError::ExpiredSinceTicket));
    }
    Ok(caller)
}

/// The name of a ticket in Redis. Somebody who reads Redis cannot present the ticket.
fn name(ticket: &str) -> String {
    hex::encode(hash(ticket))
}
