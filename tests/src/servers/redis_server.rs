//! A Redis for one test.

use std::{
    ffi::OsString,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{free_port, until_blocking, watchdog::watch_this_test};

/// A `redis-server` with an append-only file in a folder of its own. It ends when the value is dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    /// The initial configuration, if it is a Sentinel.
    sentinel: Option<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server. `arguments` are added to its command line.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_as(None, None, arguments)
    }

    /// Starts a server from a backup (RDB), as docs/backup.md says: the server reads the backup without an append-only file,
    /// writes such a file, and restarts with it.
    pub fn restored(backup: &Path) -> Self {
        let mut server = Self::start_as(None, Some(backup), &["--appendonly", "no"]);
        server.cli(&["CONFIG", "SET", "appendonly", "yes"]);
        until_blocking("Redis has written the append-only file", || {
            server.info("persistence", "aof_rewrite_in_progress") == 0
                && server.info("persistence", "aof_rewrite_scheduled") == 0
        });
        server.cli(&["SHUTDOWN", "NOSAVE"]);
        server.arguments.clear();
        server.restart();
        server
    }

    /// Starts a Sentinel with this configuration.
    pub fn sentinel(configuration: &str) -> Self {
        Self::start_as(Some(configuration), None, &[])
    }

    fn start_as(sentinel: Option<&str>, backup: Option<&Path>, arguments: &[&str]) -> Self {
        watch_this_test();
        let mut folder = new_folder(sentinel.is_some());
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).into()).collect();
        // Another process may take the port before the server does. The server then ends, and the next port is tried.
        for _ in 0..20 {
            if let Some(backup) = backup {
                std::fs::copy(backup, folder.path().join("dump.rdb")).expect("a copy");
            }
            let port = free_port();
            let child = spawn(port, &folder, sentinel, &arguments);
            let mut server = Self {
                child,
                port,
                arguments: arguments.clone(),
                sentinel: sentinel.map(Into::into),
                folder,
            };
            if server.wait_until_ready() {
                return server;
            }
            folder = std::mem::replace(&mut server.folder, new_folder(sentinel.is_some()));
        }
        panic!("redis-server does not start; is it installed?");
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Its URL, for this user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}/0", self.port)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Restarts it on the same port with the same data.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let sentinel = self.sentinel.as_deref();
        self.child = spawn(self.port, &self.folder, sentinel, &self.arguments);
        assert!(self.wait_until_ready(), "redis-server does not come back");
    }

    /// Kills it, and restarts it on the same port without data.
    pub fn restart_empty(&mut self) {
        self.kill();
        self.folder = TempDir::new().expect("a temporary folder");
        self.restart();
    }

    /// Suspends it: it answers nothing and closes nothing.
    pub fn pause(&self) {
        signal(self.child.id(), "STOP");
    }

    /// Resumes it.
    pub fn resume(&self) {
        signal(self.child.id(), "CONT");
    }

    /// Runs one command with `redis-cli`. Returns what it prints.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> String {
        self.try_cli(arguments)
            .unwrap_or_else(|output| panic!("{arguments:?}: {output}"))
    }

    /// [`RedisServer::cli`] for a connection that may be cut. A Sentinel cuts all connections of a Redis when it changes the
    /// role of that Redis.
    pub fn try_cli(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(arguments)
            .output()
            .expect("redis-cli runs");
        if !output.status.success() {
            return Err(format!("{output:?}"));
        }
        let text = String::from_utf8(output.stdout).expect("text");
        Ok(text.trim_end().into())
    }

    /// A number of `INFO`: the first one after `name` in a section, or 0.
    pub fn info(&self, section: &str, name: &str) -> u64 {
        let text = self.cli(&["INFO", section]);
        let rest = text.lines().find_map(|line| line.strip_prefix(name));
        let digits = rest.unwrap_or_default().trim_start_matches([':', '=']);
        let end = digits.find(|c: char| !c.is_ascii_digit());
        digits[..end.unwrap_or(digits.len())].parse().unwrap_or(0)
    }

    fn wait_until_ready(&mut self) -> bool {
        until_blocking("redis-server answers or ends", || {
            let ended = self.child.try_wait().expect("its status can be read");
            match ended {
                Some(_) => Some(false),
                None => answers(self.port).then_some(true),
            }
        })
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Sentinel writes to the disk at each change. If that takes two seconds, it does nothing for 30 s (TILT). So its folder
/// is in memory, if the system has such a folder.
fn new_folder(in_memory: bool) -> TempDir {
    let memory = in_memory.then(|| TempDir::new_in("/dev/shm"));
    memory
        .and_then(Result::ok)
        .unwrap_or_else(|| TempDir::new().expect("a temporary folder"))
}

fn spawn(port: u16, folder: &TempDir, sentinel: Option<&str>, arguments: &[String]) -> Child {
    let mut command = Command::new(program());
    if let Some(configuration) = sentinel {
        // A Sentinel writes what it learns into its file, and reads the file after a restart.
        let file = folder.path().join("sentinel.conf");
        if !file.exists() {
            std::fs::write(&file, configuration).expect("a file can be written");
        }
        command.arg(file).arg("--sentinel");
    } else {
        command.args(["--save", "", "--appendonly", "yes"]);
    }
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is on PATH (make test installs it)")
}

/// The server to start: `redis-server`, or the program that `LTM_TEST_REDIS_SERVER` names, such as Valkey's.
fn program() -> OsString {
    std::env::var_os("LTM_TEST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        // A server that asks for a password is ready, too.
        Ok(matches!(&answer, b"+PONG" | b"-NOAU"))
    };
    ask().unwrap_or(false)
}

/// Sends a process a signal: `TERM`.
pub fn signal(pid: u32, name: &str) {
    // The shell has a `kill` of its own. The program `kill` does not exist on every machine.
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -s {name} {pid}")])
        .status()
        .expect("a shell runs");
    assert!(sent.success(), "no process {pid} takes SIG{name}");
}
