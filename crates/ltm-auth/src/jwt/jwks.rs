//! A JSON Web Key Set (RFC 7517) at a URL, and its refresh.

use std::{
    string::FromUtf8Error,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use ltm_settings::shown_url;
use ltm_store::Spawner;
use tokio::sync::Mutex;

use crate::{
    error::AuthError,
    jwt::key::{Key, KeyError},
    settings::AuthSettings,
};

/// The largest key set that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// A key set at a URL, with the keys of the last refresh.
pub(crate) struct Jwks {
    url: String,
    max_age: Duration,
    /// The age at which the keys no longer count.
    expiry: Duration,
    pause: Duration,
    client: reqwest::Client,
    spawner: Spawner,
    cached: RwLock<Cached>,
    /// Locked during a refresh.
    refreshing: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Cached {
    keys: Arc<Vec<Key>>,
    /// The end of the last refresh.
    tried: Option<Instant>,
    /// The end of the last refresh that succeeded.
    refreshed: Option<Instant>,
}

/// Why a refresh failed. The URL is not repeated: it may hold a secret.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(reqwest::Error),
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    NotText(#[from] FromUtf8Error),
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

impl Jwks {
    pub(crate) fn of(settings: &AuthSettings, spawner: Spawner) -> reqwest::Result<Self> {
        let configured = || {
            reqwest::Client::builder()
                .timeout(settings.jwks_timeout)
                // The operator chose the URL; the server at it must not choose another.
                .redirect(reqwest::redirect::Policy::none())
        };
        let is_encrypted = settings.jwks_url.to_lowercase().starts_with("https:");
        let client = match configured().build() {
            // A bare system has no CA certificates. Without TLS, none are needed.
            Err(_) if !is_encrypted => configured().tls_certs_only([]).build()?,
            built => built?,
        };
        Ok(Self {
            url: settings.jwks_url.clone(),
            max_age: settings.jwks_max_age,
            expiry: settings
                .jwks_expiry
                .max(settings.jwks_max_age)
                .max(settings.jwks_pause),
            pause: settings.jwks_pause,
            client,
            spawner,
            cached: RwLock::default(),
            refreshing: Arc::default(),
        })
    }

    /// The keys. A refresh starts if they are old or if none of them `suits`. The caller waits for its end if none suits, or
    /// if the keys are so old that they no longer count.
    pub(crate) async fn keys(
        self: &Arc<Self>,
        suits: impl Fn(&[Key]) -> bool,
    ) -> Result<Arc<Vec<Key>>, AuthError> {
        let began = Instant::now();
        let too_old = |refreshed: Instant| refreshed.elapsed() >= self.max_age;
        // Keys that were read since the call began count, however short their life is.
        let counts = |cached: &Cached| {
            let since = |refreshed: Instant| began.saturating_duration_since(refreshed);
            cached.refreshed.is_some_and(|at| since(at) < self.expiry)
        };
        let look = |cached: &Cached| {
            let is_old = cached.refreshed.is_none_or(too_old);
            (suits(&cached.keys), is_old)
        };
        let (suited, is_old) = self.cached(look);
        if is_old || !suited {
            self.start_refresh();
        }
        if !suited || !self.cached(counts) {
            // A refresh holds this lock until its end.
            drop(self.refreshing.lock().await);
        }
        if self.cached(|cached| cached.refreshed.is_none()) {
            return Err(AuthError::NoKeys(
                "no keys have been read from auth.jwks_url yet; the log of the service says why",
            ));
        }
        if !self.cached(counts) {
            return Err(AuthError::NoKeys(
                "the keys from auth.jwks_url are older than auth.jwks_expiry, and cannot be read; the log of the service \
                 says why",
            ));
        }
        Ok(self.cached(|cached| cached.keys.clone()))
    }

    /// Starts a refresh, unless one is running or has just ended.
    fn start_refresh(self: &Arc<Self>) {
        let Ok(refreshing) = self.refreshing.clone().try_lock_owned() else {
            return;
        };
        let is_due = |cached: &Cached| cached.tried.is_none_or(|at| at.elapsed() >= self.pause);
        if self.cached(is_due) {
            let jwks = self.clone();
            // The caller may disconnect meanwhile; the keys are for all callers.
            self.spawner.spawn("key set refresh", async move {
                jwks.refresh().await;
                drop(refreshing);
            });
        }
    }

    fn cached<T>(&self, read: impl Fn(&Cached) -> T) -> T {
        read(&self.cached.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the key set. If that fails, the keys stay as they are.
    async fn refresh(&self) {
        let fetched = self.fetch().await;
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        cached.tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                tracing::info!(
                    url = shown_url(&self.url),
                    keys = keys.len(),
                    "keys were read"
                );
                cached.keys = Arc::new(keys);
                cached.refreshed = Some(Instant::now());
            }
            Err(error) => {
                tracing::error!(
                    setting = "auth.jwks_url",
                    url = shown_url(&self.url),
                    %error,
                    "keys cannot be read; the keys that were read before stay in use"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, FetchError> {
        let response = self.client.get(&self.url).send().await?;
        let mut response = response.error_for_status()?;
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            text.extend_from_slice(&chunk);
            if text.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
        }
        Ok(Key::of_set(&String::from_utf8(text)?)?)
    }
}
