//! How long a subscriber may follow, and how it renews its credential on the open socket.

use std::{cell::RefCell, future::pending, rc::Rc, time::Duration};

use ltm_auth::{Access, Auth, AuthError, Caller, Credential, Grant};
use ltm_store::{Store, StoreError};
use ltm_types::{LtmId, LtmRef};
use serde::Deserialize;
use tokio::{
    sync::{Notify, RwLock},
    time::sleep,
};

use crate::subscriber::close::CloseCause;

/// The longest single wait for an expiry. If the clock is set, the gateway notices after at most this time.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// The pause before the gateway tries again to verify a renewal.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The credential of one connection.
pub(crate) struct SessionAuth {
    auth: Auth,
    store: Store,
    /// The LTMs that the connection follows.
    ids: RefCell<Vec<LtmId>>,
    /// Whether the connection follows a list, whose rows depend on the grant.
    list: bool,
    caller: RefCell<Rc<Caller>>,
    /// Held shared while an LTM is checked for `caller`, and alone while another caller is checked for all LTMs and
    /// takes its place. So each LTM is checked for the caller that counts in the end.
    checks: RwLock<()>,
    renewed: Notify,
    /// The latest renewal that the client sent, until it is verified.
    offered: RefCell<Option<Renewal>>,
    renewal_offered: Notify,
}

/// A text with which a client renews its credential.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Renewal {
    Token(String),
    Ticket(String),
}

/// Waits until the subscriber may not follow any more.
pub(crate) async fn auth_lost(session_auth: Option<&SessionAuth>) -> CloseCause {
    match session_auth {
        // Boxed, so that it takes no memory if authentication is off.
        Some(session_auth) => Box::pin(session_auth.ended()).await,
        None => pending().await,
    }
}

/// The id of an LTM. A client may look up a key only if it may read its class: it cannot find out which keys exist
/// elsewhere.
///
/// # Errors
///
/// The LTM does not exist, or the client may not look it up.
pub(crate) async fn find(
    session_auth: Option<&SessionAuth>,
    store: &Store,
    ltm: &LtmRef,
) -> Result<LtmId, AuthError> {
    let key = match ltm {
        LtmRef::Id(id) => return Ok(*id),
        LtmRef::Key(key) => key,
    };
    if let Some(session_auth) = session_auth {
        let caller = session_auth.caller.borrow().clone();
        caller.may_with_class(Access::Read, key.fqn())?;
    }
    Ok(store.id_of(key).await?)
}

impl SessionAuth {
    /// Authenticates the client, finds the LTM, and checks that the client may read it; `None` if authentication is
    /// off.
    ///
    /// # Errors
    ///
    /// Why the client may not follow the LTM.
    pub(crate) async fn of(
        auth: &Auth,
        store: &Store,
        ltm: &LtmRef,
        credential: Result<Credential<'_>, AuthError>,
    ) -> Result<(LtmId, Option<Box<Self>>), AuthError> {
        let session_auth = Self::of_many(auth, store, credential).await?;
        let id = find(session_auth.as_deref(), store, ltm).await?;
        if let Some(session_auth) = &session_auth {
            session_auth.add(id).await?;
        }
        Ok((id, session_auth))
    }

    /// Authenticates a client that follows no LTM yet; `None` if authentication is off.
    ///
    /// # Errors
    ///
    /// Why the credential is not good.
    pub(crate) async fn of_many(
        auth: &Auth,
        store: &Store,
        credential: Result<Credential<'_>, AuthError>,
    ) -> Result<Option<Box<Self>>, AuthError> {
        if !auth.is_required() {
            return Ok(None);
        }
        let caller = auth.caller(credential, store.redis()).await?;
        Ok(Some(Box::new(Self {
            auth: auth.clone(),
            store: store.clone(),
            ids: RefCell::default(),
            list: false,
            caller: RefCell::new(Rc::new(caller)),
            checks: RwLock::default(),
            renewed: Notify::new(),
            offered: RefCell::default(),
            renewal_offered: Notify::new(),
        })))
    }

    /// Authenticates a client that follows a list; `None` if authentication is off.
    ///
    /// # Errors
    ///
    /// Why the credential is not good.
    pub(crate) async fn of_list(
        auth: &Auth,
        store: &Store,
        credential: Result<Credential<'_>, AuthError>,
    ) -> Result<Option<Box<Self>>, AuthError> {
        let session_auth = Self::of_many(auth, store, credential).await?;
        Ok(session_auth.map(|session_auth| {
            Box::new(Self {
                list: true,
                ..*session_auth
            })
        }))
    }

    /// What the client may read.
    pub(crate) fn grant(&self) -> Grant {
        self.caller.borrow().grant.clone()
    }

    /// What tells the client apart from others.
    pub(crate) fn caller_key(&self) -> String {
        self.caller.borrow().key()
    }

    /// The client, as its latest credential names it.
    pub(crate) fn caller(&self) -> Rc<Caller> {
        self.caller.borrow().clone()
    }

    /// Checks that the client may read this LTM, too; a renewal has to allow it from now on.
    ///
    /// # Errors
    ///
    /// Why the client may not follow the LTM.
    pub(crate) async fn add(&self, id: LtmId) -> Result<(), AuthError> {
        let _shared = self.checks.read().await;
        let caller = self.caller.borrow().clone();
        caller.may_with(Access::Read, id, &self.store).await?;
        self.ids.borrow_mut().push(id);
        Ok(())
    }

    /// A renewal need not allow this LTM any more.
    pub(crate) fn remove(&self, id: LtmId) {
        self.ids.borrow_mut().retain(|known| *known != id);
    }

    /// Takes a client's text if it is a new token or ticket; ignores any other text.
    pub(crate) fn offer_renewal(&self, text: &str) {
        if let Ok(renewal) = serde_json::from_str(text) {
            self.offered.replace(Some(renewal));
            self.renewal_offered.notify_one();
        }
    }

    /// Waits until the credential expires or is revoked, or a renewal is not good.
    async fn ended(&self) -> CloseCause {
        tokio::select! {
            cause = self.expired() => cause,
            cause = self.refused() => cause,
        }
    }

    /// Verifies the client's renewals, until one is not good for every LTM that the client follows.
    async fn refused(&self) -> CloseCause {
        loop {
            let Some(renewal) = self.offered.take() else {
                self.renewal_offered.notified().await;
                continue;
            };
            // Boxed: most subscribers never renew.
            if let Err(cause) = Box::pin(self.renew(&renewal)).await {
                return cause;
            }
        }
    }

    /// Takes a renewal as soon as it can be verified, or drops it for a later one. The previous credential
    /// stays good until then.
    async fn renew(&self, renewal: &Renewal) -> Result<(), CloseCause> {
        let (mut caller, mut logged) = (None, false);
        loop {
            let error = match self.authenticate(renewal, &mut caller).await {
                Ok(caller) if self.list && caller.grant != self.grant() => {
                    let text = "the new token shows another list: reconnect with it";
                    return Err(CloseCause::Unauthenticated(text.into()));
                }
                Ok(caller) => match self.replace(caller).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            match error {
                AuthError::Store(_) | AuthError::NoKeys(_) if logged => {}
                AuthError::Store(_) | AuthError::NoKeys(_) => {
                    logged = true;
                    tracing::warn!(
                        ids = ?self.ids.borrow(), %error,
                        "cannot verify a renewed credential; retrying until the previous one expires"
                    );
                }
                error => return Err(error.into()),
            }
            tokio::select! {
                () = sleep(RETRY_PAUSE) => {}
                () = self.renewal_offered.notified() => return Ok(()),
            }
        }
    }

    /// The caller that a renewal names. A ticket is good only once, so `caller` keeps its caller for the next
    /// attempt.
    async fn authenticate(
        &self,
        renewal: &Renewal,
        caller: &mut Option<Caller>,
    ) -> Result<Caller, AuthError> {
        let credential = match renewal {
            Renewal::Token(token) => Credential::Bearer(token),
            Renewal::Ticket(ticket) => Credential::Ticket(ticket.into()),
        };
        let known = match caller.take() {
            Some(known) => known,
            None => self.auth.caller(Ok(credential), self.store.redis()).await?,
        };
        Ok(caller.insert(known).clone())
    }

    /// Lets this caller follow from now on, if it may read every LTM that the client follows.
    async fn replace(&self, caller: Caller) -> Result<(), AuthError> {
        let _alone = self.checks.write().await;
        let ids = self.ids.borrow().clone();
        for id in ids {
            match caller.may_with(Access::Read, id, &self.store).await {
                // The subscription itself reports that the LTM is gone.
                Err(AuthError::Store(StoreError::Unknown(_) | StoreError::Deleted { .. })) => {}
                outcome => outcome?,
            }
        }
        self.caller.replace(Rc::new(caller));
        self.renewed.notify_one();
        Ok(())
    }

    /// Waits until the credential expires or is revoked.
    async fn expired(&self) -> CloseCause {
        loop {
            let caller = self.caller.borrow().clone();
            let left = caller.time_left();
            if left == Some(Duration::ZERO) {
                return CloseCause::Expired;
            }
            let wait = left.map_or(LOOK_INTERVAL, |left| left.min(LOOK_INTERVAL));
            tokio::select! {
                () = sleep(wait) => {}
                () = self.renewed.notified() => {}
                error = self.auth.revoked(&caller) => return error.into(),
            }
        }
    }
}
