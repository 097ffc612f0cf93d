//! The processes of a target, measured by the accounting of the kernel.

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use nix::{sys::signal, time::clock_getcpuclockid, unistd::Pid};
use procfs::{
    ProcResult,
    process::{ClearRefs, Process as Proc, Status},
};

use crate::error::Error;

/// The longest wait for a process to start.
pub(crate) const START: Duration = Duration::from_secs(20);

/// The longest wait for a process to end.
const END: Duration = Duration::from_secs(3);

/// A process and its children. It is killed when the value is dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts a command with a known address, and waits until it accepts connections.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        address: &str,
    ) -> Result<Self, Error> {
        let child = spawn(name, command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        let mut process = Self { name, child };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            process.check(began)?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    /// Starts a service on a free port; returns its address, too.
    pub(crate) fn service(
        name: &'static str,
        command: &mut Command,
    ) -> Result<(Self, String), Error> {
        let command = command
            .env("LTM__LOG__FORMAT", "json")
            .stdout(Stdio::null());
        let mut child = spawn(name, command.stderr(Stdio::piped()))?;
        let (found, address) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                    if event["message"] == "listening"
                        && let Some(address) = event["address"].as_str()
                    {
                        // The receiver waits for the first address only.
                        let _ = found.send(address.to_owned());
                    }
                }
            });
        }
        let process = Self { name, child };
        let address = address
            .recv_timeout(START)
            .map_err(|_| Error::Start(name))?;
        Ok((process, address))
    }

    /// Its name in the tables.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The CPU time of the process and its children.
    pub(crate) fn cpu(&self) -> Duration {
        self.pids().into_iter().filter_map(cpu_of).sum()
    }

    /// The memory of the process and its children in bytes; shared pages count in proportion.
    pub(crate) fn memory(&self) -> u64 {
        self.each(memory_of)
    }

    /// Begins to measure the peak of the memory; returns the memory now, in bytes.
    pub(crate) fn begin_peak(&self) -> u64 {
        self.each(|process| {
            // If the system refuses this, the peak is that of the process's whole life: never too low.
            let _ = process.clear_refs(ClearRefs::PeakRSS);
            resident(process, |status| status.vmrss)
        })
    }

    /// The peak since then, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.each(|process| resident(process, |status| status.vmhwm))
    }

    /// The sum of a figure over the process and its children. One that has ended counts nothing.
    fn each(&self, figure: impl Fn(&Proc) -> ProcResult<u64>) -> u64 {
        let figure = |pid| Proc::new(pid).and_then(|process| figure(&process));
        self.pids()
            .into_iter()
            .filter_map(|pid| figure(pid).ok())
            .sum()
    }

    fn pids(&self) -> Vec<i32> {
        let own = self.child.id().cast_signed();
        let process = Proc::new(own).and_then(|process| process.task_main_thread());
        let children = process.and_then(|thread| thread.children());
        let children = children.unwrap_or_default().into_iter();
        std::iter::once(own)
            .chain(children.map(u32::cast_signed))
            .collect()
    }

    /// Kills the process: it has no time to finish anything.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the process to stop; returns whether it has ended within this time.
    pub(crate) fn stop(&mut self, longest: Duration) -> bool {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let _ = signal::kill(pid, signal::Signal::SIGTERM);
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if began.elapsed() > longest {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    fn check(&mut self, began: Instant) -> Result<(), Error> {
        let ended = self.child.try_wait().ok().flatten().is_some();
        if ended || began.elapsed() > START {
            return Err(Error::Start(self.name));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A server with workers has to stop them itself. The others have nothing to finish, because their data
        // is not needed after the run.
        if self.pids().len() > 1 {
            self.stop(END);
        }
        self.kill();
    }
}

fn spawn(name: &'static str, command: &mut Command) -> Result<Child, Error> {
    let child = command.stdin(Stdio::null()).spawn();
    child.map_err(|source| Error::Spawn { name, source })
}

fn cpu_of(pid: i32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok()?;
    clock.now().ok().map(Duration::from)
}

/// The memory of a process in bytes; shared pages count in proportion.
fn memory_of(process: &Proc) -> ProcResult<u64> {
    let maps = process.smaps_rollup()?.memory_map_rollup;
    let proportional = |map: &procfs::process::MemoryMap| map.extension.map.get("Pss").copied();
    Ok(maps.iter().filter_map(proportional).sum())
}

/// A figure of a process's status, converted from KiB to bytes.
fn resident(process: &Proc, kib: impl Fn(&Status) -> Option<u64>) -> ProcResult<u64> {
    Ok(kib(&process.status()?).unwrap_or(0) * 1024)
}

/// A free port.
pub(crate) fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

/// The path of a program of this project, in the folder of this one.
pub(crate) fn beside(name: &str) -> Result<PathBuf, Error> {
    let path = std::env::current_exe()?;
    let path = path.parent().unwrap_or(Path::new(".")).join(name);
    if path.exists() {
        return Ok(path);
    }
    Err(Error::Missing(path))
}
