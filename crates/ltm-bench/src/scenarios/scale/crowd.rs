//! All subscribers: the load processes that hold them.

use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    deployment::Deployment,
    load::Load,
    share::{Counted, Followed, Share},
};
use crate::{
    error::Error,
    load::subscribers::{DELIVERIES, OTHER_FILES, PATIENCE},
    targets::Channel,
};

/// The command of a load process.
const COMMAND: &str = "scale-subscribers";
/// The most subscribers of a load process: half of the ports of its address, so that reconnects find free ones, too.
const MOST: usize = 15_000;

/// The running load processes. They end when this is dropped.
pub(super) struct Crowd {
    members: Vec<Member>,
}

/// A load process.
struct Member {
    child: Child,
    /// The process ends when this closes.
    input: Option<ChildStdin>,
    counted: Arc<Mutex<Counted>>,
    reader: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Starts the processes; their subscribers begin to connect.
    pub(super) fn start(
        deployment: &Deployment,
        channels: &[Channel],
        load: &Load,
    ) -> Result<Self, Error> {
        let most = MOST.min(files()?);
        let needed = load.subscribers_of(0);
        if needed > files()? {
            let limit = (files()? + OTHER_FILES) as u64;
            return Err(Error::Files { needed, limit });
        }
        let mut followed: Vec<_> = (0..load.all())
            .map(|number| {
                let channel = &channels[number / load.per_ltm as usize];
                Followed {
                    gateway: deployment.gateway(load.gateway_of(number)).into(),
                    ltm: channel.id,
                    cursor: channel.cursor,
                }
            })
            .collect();
        let processes = followed.len().div_ceil(most);
        let share = followed.len().div_ceil(processes);
        let mut crowd = Self {
            members: Vec::new(),
        };
        for number in 1..=processes {
            let rest = followed.split_off(share.min(followed.len()));
            let share = Share {
                source: address(number),
                followed: std::mem::replace(&mut followed, rest),
            };
            crowd.members.push(Member::start(&share)?);
        }
        Ok(crowd)
    }

    /// The sums of the counters.
    pub(super) fn counted(&self) -> Result<Counted, Error> {
        let mut sum = Counted::default();
        for member in &self.members {
            let counted = member.counted.lock().map_err(|_| Error::Panicked)?;
            if let Some(failure) = &counted.failure {
                return Err(Error::Subscribers(failure.clone()));
            }
            sum.connected += counted.connected;
            sum.reconnected += counted.reconnected;
            sum.delivered += counted.delivered;
        }
        Ok(sum)
    }

    /// Waits until a count is at least `expected`. Fails if the count does not grow for a while.
    pub(super) fn until(
        &self,
        what: &'static str,
        expected: u64,
        count: impl Fn(&Counted) -> u64,
    ) -> Result<(), Error> {
        let mut last = (count(&self.counted()?), Instant::now());
        while last.0 < expected {
            if last.1.elapsed() > PATIENCE {
                let count = last.0;
                return Err(Error::Late {
                    what,
                    count,
                    expected,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
            let now = count(&self.counted()?);
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Waits until all subscribers have received this many messages together.
    pub(super) fn until_delivered(&self, expected: u64) -> Result<(), Error> {
        self.until(DELIVERIES, expected, |counted| counted.delivered)?;
        match self.counted()?.delivered {
            delivered if delivered == expected => Ok(()),
            delivered => Err(Error::excess(delivered, expected)),
        }
    }

    /// Lets all processes end, and returns their last counters.
    pub(super) fn leave(mut self) -> Result<Counted, Error> {
        for member in &mut self.members {
            member.input = None;
        }
        for member in &mut self.members {
            if let Some(reader) = member.reader.take() {
                // A panic of a thread has been printed.
                let _ = reader.join();
            }
        }
        self.counted()
    }
}

impl Member {
    fn start(share: &Share) -> Result<Self, Error> {
        let name = "a load process";
        let mut child = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Error::Spawn { name, source })?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let counted = Arc::new(Mutex::new(Counted::default()));
        let mut member = Self {
            child,
            input,
            counted,
            reader: None,
        };
        if let (Some(input), Some(output)) = (&mut member.input, output) {
            let text = serde_json::to_string(share).map_err(std::io::Error::from)?;
            writeln!(input, "{text}")?;
            let counted = member.counted.clone();
            member.reader = Some(std::thread::spawn(move || read(output, &counted)));
        }
        Ok(member)
    }
}

/// Reads the reports of a process. Its first failure stays.
fn read(output: ChildStdout, into: &Mutex<Counted>) {
    let reports = BufReader::new(output).lines().map_while(Result::ok);
    let reports = reports.filter_map(|line| serde_json::from_str::<Counted>(&line).ok());
    let ended = Counted {
        failure: Some("a load process ended".into()),
        ..Counted::default()
    };
    for new in reports.chain([ended]) {
        match into.lock() {
            Ok(mut old) if old.failure.is_none() && !old.last => *old = new,
            _ => return,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most subscribers that a process has files for.
fn files() -> Result<usize, Error> {
    let (limit, _) = rlimit::Resource::NOFILE.get()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(limit.saturating_sub(OTHER_FILES).max(1))
}

/// The address of a load process. All of 127.0.0.0/8 is this machine, and other programs use the first of them.
pub(super) fn address(number: usize) -> IpAddr {
    let [.., high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low).into()
}
