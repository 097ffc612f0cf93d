//! For how long a subscriber may follow, and how that is renewed on the open socket.

use std::{cell::RefCell, time::Duration};

use ltm_service::auth::{Access, Auth, AuthError, Caller, Presented};
use ltm_store::Store;
use ltm_types::LtmId;
use serde::Deserialize;
use tokio::{sync::Notify, time::sleep};

use crate::end::End;

/// The longest that is waited for at once: a clock that is set is heard of by then.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// What a subscriber of one LTM has shown.
pub(crate) struct Pass {
    auth: Auth,
    store: Store,
    id: LtmId,
    caller: RefCell<Caller>,
    renewed: Notify,
}

/// What a client says to go on for longer.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Renewal {
    Token(String),
    Ticket(String),
}

impl Pass {
    /// For who shows this; none where nobody has to show anything.
    ///
    /// # Errors
    ///
    /// Why they may not follow.
    pub(crate) async fn of(
        auth: &Auth,
        store: &Store,
        id: LtmId,
        shown: Result<Presented<'_>, AuthError>,
    ) -> Result<Option<Box<Self>>, AuthError> {
        if !auth.is_required() {
            return Ok(None);
        }
        let caller = check(auth, store, id, shown).await?;
        Ok(Some(Box::new(Self {
            auth: auth.clone(),
            store: store.clone(),
            id,
            caller: RefCell::new(caller),
            renewed: Notify::new(),
        })))
    }

    /// Takes what a client says where that is a new token or ticket, and ignores everything else.
    ///
    /// # Errors
    ///
    /// [`End::Refused`] where it is not good for this LTM.
    pub(crate) async fn hear(&self, text: &str) -> Result<(), End> {
        let Ok(renewal) = serde_json::from_str::<Renewal>(text) else {
            return Ok(());
        };
        let shown = match &renewal {
            Renewal::Token(token) => Presented::Bearer(token),
            Renewal::Ticket(ticket) => Presented::Ticket(ticket.into()),
        };
        match check(&self.auth, &self.store, self.id, Ok(shown)).await {
            Ok(caller) => {
                self.caller.replace(caller);
                self.renewed.notify_one();
                Ok(())
            }
            // What was shown before is still good.
            Err(AuthError::Store(_) | AuthError::NoKeys(_)) => Ok(()),
            Err(error) => Err(End::Refused(error.to_string())),
        }
    }

    /// Waits until it is no longer good.
    pub(crate) async fn expired(&self) -> End {
        loop {
            let left = self.caller.borrow().time_left();
            if left == Some(Duration::ZERO) {
                return End::Expired;
            }
            let wait = left.map_or(LOOK_INTERVAL, |left| left.min(LOOK_INTERVAL));
            tokio::select! {
                () = sleep(wait) => {}
                () = self.renewed.notified() => {}
            }
        }
    }
}

async fn check(
    auth: &Auth,
    store: &Store,
    id: LtmId,
    shown: Result<Presented<'_>, AuthError>,
) -> Result<Caller, AuthError> {
    let caller = auth.caller(shown, store.redis()).await?;
    caller.may_with(Access::Read, id, store).await?;
    Ok(caller)
}
