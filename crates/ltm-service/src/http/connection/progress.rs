//! What a client must read of an answer that waits for it: a client that reads, but too slowly, is cut as one that reads
//! nothing is.

use std::{io, time::Duration};

use actix_web::rt::net::TcpStream;
use ltm_settings::bytes;
use socket2::SockRef;
use tokio::time::Instant;

use crate::{http::settings::HttpSettings, telemetry::limits_hit::LimitsHit};

/// What the client of one connection accepts while bytes wait for it.
pub(crate) struct Progress {
    /// The least that it must accept in `period`; 0: nothing.
    min: usize,
    period: Duration,
    /// The time that is being measured. It begins when the client does not accept bytes at once.
    window: Option<Window>,
    /// Whether bytes wait.
    is_blocked: bool,
    /// Whether the connection is given up. It counts once, however often somebody tries to write to it afterwards.
    is_cut: bool,
    limits: LimitsHit,
}

struct Window {
    end: Instant,
    accepted: usize,
}

impl Progress {
    pub(crate) fn new(settings: &HttpSettings, limits: LimitsHit) -> Self {
        Self {
            min: bytes(settings.min_progress),
            period: settings.progress_time,
            window: None,
            is_blocked: false,
            is_cut: false,
            limits,
        }
    }

    /// Notes that the client accepted bytes.
    pub(crate) fn accepted(&mut self, count: usize) {
        self.is_blocked = false;
        if let Some(window) = &mut self.window {
            window.accepted = window.accepted.saturating_add(count);
        }
    }

    /// Notes that bytes wait for the client. Returns when to call [`Progress::is_too_slow`].
    pub(crate) fn blocked(&mut self) -> Instant {
        self.is_blocked = true;
        let window = self.window.get_or_insert_with(|| Window {
            end: Instant::now() + self.period,
            accepted: 0,
        });
        window.end
    }

    /// Whether the client accepted too little in the time that is over. Then the connection is reset when it is dropped.
    pub(crate) fn is_too_slow(&mut self, stream: &TcpStream) -> bool {
        if self.is_cut {
            return true;
        }
        let Some(window) = self.window.as_ref() else {
            return false;
        };
        if Instant::now() < window.end {
            return false;
        }
        if !self.is_blocked || window.accepted >= self.min {
            self.window = None;
            return false;
        }
        self.is_cut = true;
        self.limits.hit("http.min_progress");
        // Otherwise the system would go on sending what it has buffered.
        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        true
    }
}

/// The error of a connection whose client is too slow.
pub(crate) fn too_slow() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the client reads its answer too slowly (http.min_progress)",
    )
}
