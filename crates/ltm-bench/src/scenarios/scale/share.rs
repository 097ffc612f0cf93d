//! The subscribers of one load process. A process may open a limited number of files, and an address has a limited
//! number of ports, so a large load has several processes, each with an address of its own.

use std::{
    io::{BufRead, Read, Write},
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use ltm_client::{Cursor, LtmId};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    load::{delivery_check::DeliveryCheck, handshake::Subscription, subscribers::Subscribers},
};

/// The time between two reports.
const INTERVAL: Duration = Duration::from_millis(100);

/// The subscribers of one process. The first line of its standard input is this as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Share {
    /// The address that they connect from.
    pub(super) source: IpAddr,
    pub(super) followed: Vec<Followed>,
}

/// What one subscriber follows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Followed {
    /// `127.0.1.1:8000`
    pub(super) gateway: String,
    pub(super) ltm: LtmId,
    /// The cursor of the first entry.
    pub(super) cursor: Cursor,
}

/// The counters of a process: a line of its standard output, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    /// The subscribers that are connected now.
    pub(super) connected: u64,
    /// How often subscribers connected again.
    pub(super) reconnected: u64,
    pub(super) delivered: u64,
    /// What went wrong.
    pub(super) failure: Option<String>,
    /// Whether the process ends after this report, because it has to.
    pub(super) last: bool,
}

/// Connects the subscribers, and reports the counters until the standard input ends.
pub(crate) fn follow() -> Result<(), Error> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let share: Share = serde_json::from_str(&line).map_err(std::io::Error::from)?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An error ends the process, as the end of the input does.
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            over.store(true, Ordering::SeqCst);
        });
        report(share.subscriptions(), &over)
    })
}

fn report(subscriptions: Vec<Subscription>, over: &AtomicBool) -> Result<(), Error> {
    let subscribers = Subscribers::begin(subscriptions, 1, Instant::now())?;
    let mut output = std::io::stdout().lock();
    loop {
        let last = over.load(Ordering::SeqCst);
        let counted = Counted {
            failure: subscribers.check().err().map(|error| error.to_string()),
            connected: subscribers.connected(),
            reconnected: subscribers.reconnected(),
            delivered: subscribers.delivered(),
            last,
        };
        let text = serde_json::to_string(&counted).map_err(std::io::Error::from)?;
        writeln!(output, "{text}")?;
        if last {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

impl Share {
    /// The subscriptions: each resumes after its latest entry if its gateway ends.
    pub(super) fn subscriptions(self) -> Vec<Subscription> {
        let source = Some(self.source);
        let subscription = |followed: Followed| Subscription {
            path: format!("/ws/{}?after={}", followed.ltm, followed.cursor),
            address: followed.gateway,
            centrifugo: None,
            order: DeliveryCheck::Log {
                last: followed.cursor.seq,
            },
            compressed: false,
            source,
            resumes: true,
        };
        self.followed.into_iter().map(subscription).collect()
    }
}
