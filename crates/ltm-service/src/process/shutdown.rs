//! Tells the process to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signal to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// A shutdown that begins with SIGTERM or SIGINT. A second signal ends the process at once, with exit code 130.
    ///
    /// # Errors
    ///
    /// The system does not let the process handle signals.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let token = shutdown.token.clone();
        // Not one of the tasks: a second signal must work while those are being stopped.
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if token.is_cancelled() {
                    tracing::warn!("a second signal: exiting at once");
                    std::process::exit(130);
                }
                tracing::info!("stopping; send the signal again to exit at once");
                token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// Tells all parts of the process to stop.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether the process stops.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the process stops.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }
}
