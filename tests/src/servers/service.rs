//! A service under test, in a process of its own.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
};

use serde_json::Value;

use crate::{LIMIT, attempt, binary, signal, until, until_blocking};

/// How many lines of a service's log are kept.
const LOG_LINES: usize = 500;

const DEV: &str = "ltm dev";

/// A running service. It ends when the value is dropped. If the test fails, its log is printed.
pub struct Service {
    name: String,
    child: Child,
    address: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Service {
    /// Starts an API.
    pub fn api(redis_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::on_redis("ltm-api", redis_url, settings)
    }

    /// Starts a gateway.
    pub fn gateway(redis_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::on_redis("ltm-gateway", redis_url, settings)
    }

    /// As [`Service::api`], in a process that the system gives this much address space and no more.
    pub fn api_within(bytes: usize, redis_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::within("ltm-api", bytes, redis_url, settings)
    }

    /// As [`Service::gateway`], in a process that the system gives this much address space and no more.
    pub fn gateway_within(bytes: usize, redis_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::within("ltm-gateway", bytes, redis_url, settings)
    }

    fn within(name: &str, bytes: usize, redis_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        let limited = format!("ulimit -v {} && exec \"$0\"", bytes / 1024);
        command.args(["-c", &limited]).arg(binary(name));
        Self::with_redis(name, command, redis_url, settings)
    }

    /// Starts `ltm dev` with its data in this directory.
    pub fn dev(data_dir: &Path) -> Self {
        let mut command = Command::new(binary("ltm"));
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir);
        Self::start(DEV, command)
    }

    /// As [`Service::dev`], with settings.
    pub fn dev_with(data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary("ltm"));
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .envs(settings.iter().copied());
        Self::start(DEV, command)
    }

    /// Starts a recorder of AG-UI agents that writes to the services at `server`.
    pub fn recorder(server: &str, upstream: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary("ltm"));
        command
            .args(["agui", "--listen", "127.0.0.1:0", "--upstream", upstream])
            .env("LTM_URL", server)
            .envs(settings.iter().copied());
        Self::start("ltm agui", command)
    }

    fn on_redis(name: &str, redis_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::with_redis(name, Command::new(binary(name)), redis_url, settings)
    }

    fn with_redis(
        name: &str,
        mut command: Command,
        redis_url: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        command
            .env("LTM__REDIS__URL", redis_url)
            .env("LTM__API__LISTEN", "127.0.0.1:0")
            .env("LTM__GATEWAY__LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied());
        Self::start(name, command)
    }

    /// Starts a service and waits until it listens.
    fn start(name: &str, mut command: Command) -> Self {
        let mut child = command
            .env("LTM__LOG__FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let (found, address) = mpsc::channel();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let stderr = child.stderr.take().expect("it is piped");
        let kept = log.clone();
        std::thread::spawn(move || keep(stderr, &kept, &found));
        let mut service = Self {
            name: name.into(),
            child,
            address: String::new(),
            log,
        };
        service.address = address.recv_timeout(LIMIT).expect("the service listens");
        service
    }

    /// Its base URL.
    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A WebSocket URL on it: `/ws/1?after=0`.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Sends it a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its status can be read")
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        until_blocking(&what, || self.ended())
    }

    /// Waits until a line of its log contains this text.
    pub async fn until_logged(&self, text: &str) {
        let what = format!("{} logs {text:?}", self.name);
        until(&what, async || self.logged(text)).await;
    }

    /// The last lines of its log.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().cloned().collect()
    }

    /// Whether a line of its log contains this text.
    pub fn logged(&self, text: &str) -> bool {
        self.log
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(text))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.name == DEV && matches!(self.child.try_wait(), Ok(None)) {
            // On a signal it also ends the Redis that it started.
            signal(self.child.id(), "TERM");
            let _ = attempt(|| !matches!(self.child.try_wait(), Ok(None)));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for line in self.log.lock().unwrap().iter() {
                eprintln!("{}: {line}", self.name);
            }
        }
    }
}

/// Keeps the last lines of a log, and sends the address once the service listens.
fn keep(stderr: ChildStderr, log: &Mutex<VecDeque<String>>, found: &mpsc::Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if event["message"] == "listening" {
            // The receiver is gone after the first address.
            let _ = found.send(event["address"].as_str().expect("an address").into());
        }
        let mut log = log.lock().unwrap();
        log.push_back(line);
        if log.len() > LOG_LINES {
            log.pop_front();
        }
    }
}

/// The memory that a process holds now, in bytes.
pub fn resident_bytes(pid: u32) -> usize {
    kib(status(pid).vmrss)
}

/// The most memory that a process has ever held, in bytes.
pub fn peak_bytes(pid: u32) -> usize {
    kib(status(pid).vmhwm)
}

/// Lets [`peak_bytes`] begin anew.
pub fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the process lives");
}

/// The CPU time that a process has used, in seconds.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = process(pid).stat().expect("its times can be read");
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

fn status(pid: u32) -> procfs::process::Status {
    process(pid).status().expect("its status can be read")
}

fn process(pid: u32) -> procfs::process::Process {
    let pid = pid.try_into().expect("a process id");
    procfs::process::Process::new(pid).expect("the process lives")
}

fn kib(size: Option<u64>) -> usize {
    let bytes = size.expect("a living process has a size") * 1024;
    bytes.try_into().expect("a size that fits")
}
