//! For how long a subscriber may follow, and how that is renewed on the open socket.

use std::{cell::RefCell, future::pending, time::Duration};

use ltm_auth::{Access, Auth, AuthError, Caller, Credential, Grant};
use ltm_store::{Store, StoreError};
use ltm_types::LtmId;
use serde::Deserialize;
use tokio::{sync::Notify, time::sleep};

use crate::end::End;

/// The longest that is waited for at once: a clock that is set is heard of by then.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long to wait before a renewal that cannot be checked now is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What a subscriber has shown.
pub(crate) struct Pass {
    auth: Auth,
    store: Store,
    /// The LTMs that it is for.
    ids: RefCell<Vec<LtmId>>,
    /// Whether it is for a list, whose rows its grant chooses.
    list: bool,
    caller: RefCell<Caller>,
    renewed: Notify,
    /// What the client said last to go on, until it is looked at.
    said: RefCell<Option<Renewal>>,
    heard: Notify,
}

/// What a client says to go on for longer.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Renewal {
    Token(String),
    Ticket(String),
}

/// Waits until the subscriber may follow no longer.
pub(crate) async fn passed(pass: Option<&Pass>) -> End {
    match pass {
        // Where nobody is asked who they are, it needs no room.
        Some(pass) => Box::pin(pass.ended()).await,
        None => pending().await,
    }
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
        shown: Result<Credential<'_>, AuthError>,
    ) -> Result<Option<Box<Self>>, AuthError> {
        let pass = Self::of_many(auth, store, shown).await?;
        if let Some(pass) = &pass {
            pass.add(id).await?;
        }
        Ok(pass)
    }

    /// The same for no LTM yet.
    ///
    /// # Errors
    ///
    /// Why nobody knows who this is.
    pub(crate) async fn of_many(
        auth: &Auth,
        store: &Store,
        shown: Result<Credential<'_>, AuthError>,
    ) -> Result<Option<Box<Self>>, AuthError> {
        if !auth.is_required() {
            return Ok(None);
        }
        let caller = auth.caller(shown, store.redis()).await?;
        Ok(Some(Box::new(Self {
            auth: auth.clone(),
            store: store.clone(),
            ids: RefCell::default(),
            list: false,
            caller: RefCell::new(caller),
            renewed: Notify::new(),
            said: RefCell::default(),
            heard: Notify::new(),
        })))
    }

    /// The same for a list of LTMs.
    ///
    /// # Errors
    ///
    /// Why nobody knows who this is.
    pub(crate) async fn of_list(
        auth: &Auth,
        store: &Store,
        shown: Result<Credential<'_>, AuthError>,
    ) -> Result<Option<Box<Self>>, AuthError> {
        let pass = Self::of_many(auth, store, shown).await?;
        Ok(pass.map(|pass| {
            Box::new(Self {
                list: true,
                ..*pass
            })
        }))
    }

    /// What it lets its holder read.
    pub(crate) fn grant(&self) -> Grant {
        self.caller.borrow().grant.clone()
    }

    /// Makes it good for this LTM, too.
    ///
    /// # Errors
    ///
    /// Why they may not follow it.
    pub(crate) async fn add(&self, id: LtmId) -> Result<(), AuthError> {
        let caller = self.caller.borrow().clone();
        caller.may_with(Access::Read, id, &self.store).await?;
        self.ids.borrow_mut().push(id);
        Ok(())
    }

    /// It need not be good for this LTM any more.
    pub(crate) fn remove(&self, id: LtmId) {
        self.ids.borrow_mut().retain(|known| *known != id);
    }

    /// Takes what a client says where that is a new token or ticket, and ignores everything else.
    pub(crate) fn hear(&self, text: &str) {
        if let Ok(renewal) = serde_json::from_str(text) {
            self.said.replace(Some(renewal));
            self.heard.notify_one();
        }
    }

    /// Waits until it is no longer good, or a renewal of it is not.
    async fn ended(&self) -> End {
        tokio::select! {
            end = self.expired() => end,
            end = self.refused() => end,
        }
    }

    /// Looks at what a client says to go on, until that is not good for each LTM.
    async fn refused(&self) -> End {
        loop {
            let Some(renewal) = self.said.take() else {
                self.heard.notified().await;
                continue;
            };
            // Most subscribers never renew: they need no room for it.
            if let Err(end) = Box::pin(self.renew(&renewal)).await {
                return end;
            }
        }
    }

    /// Takes a renewal as soon as it can be checked, or drops it for a later one; meanwhile, what was shown before is
    /// still good.
    async fn renew(&self, renewal: &Renewal) -> Result<(), End> {
        let (mut caller, mut complained) = (None, false);
        loop {
            let error = match self.check(renewal, &mut caller).await {
                Ok(caller) if self.list && caller.grant != self.grant() => {
                    let text =
                        "the new token is for other LTMs, and so for another list: connect again";
                    return Err(End::Refused(text.into()));
                }
                Ok(caller) => {
                    self.caller.replace(caller);
                    self.renewed.notify_one();
                    return Ok(());
                }
                Err(error) => error,
            };
            match error {
                AuthError::Store(_) | AuthError::NoKeys(_) if complained => {}
                AuthError::Store(_) | AuthError::NoKeys(_) => {
                    complained = true;
                    tracing::warn!(
                        ids = ?self.ids.borrow(), %error,
                        "a renewal cannot be checked now; it is tried again until what was shown before ends"
                    );
                }
                error => return Err(End::Refused(error.to_string())),
            }
            tokio::select! {
                () = sleep(RETRY_PAUSE) => {}
                () = self.heard.notified() => return Ok(()),
            }
        }
    }

    /// Who shows a renewal. A ticket can be shown only once: `caller` holds whose it was.
    async fn check(
        &self,
        renewal: &Renewal,
        caller: &mut Option<Caller>,
    ) -> Result<Caller, AuthError> {
        let shown = match renewal {
            Renewal::Token(token) => Credential::Bearer(token),
            Renewal::Ticket(ticket) => Credential::Ticket(ticket.into()),
        };
        let known = match caller.take() {
            Some(known) => known,
            None => self.auth.caller(Ok(shown), self.store.redis()).await?,
        };
        let known = caller.insert(known);
        let ids = self.ids.borrow().clone();
        for id in ids {
            match known.may_with(Access::Read, id, &self.store).await {
                // The subscription says so.
                Err(AuthError::Store(StoreError::Unknown(_) | StoreError::Deleted { .. })) => {}
                outcome => outcome?,
            }
        }
        Ok(known.clone())
    }

    /// Waits until it is no longer good.
    async fn expired(&self) -> End {
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
