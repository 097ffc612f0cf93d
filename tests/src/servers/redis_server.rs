//! A Redis of one test's own.

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

/// A `redis-server` with an append-only file in a folder of its own. It ends with the value.
pub struct RedisServer {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    /// What a Sentinel begins with.
    sentinel: Option<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one; `arguments` are added to its command line.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_as(None, None, arguments)
    }

    /// Starts one with what is in a backup (RDB), as docs/backup.md says: it reads that without an append-only file, writes
    /// one, and starts again with it.
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
        // The port may be taken between the look and the start; then the server ends, and the next is tried.
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

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Where it is, for a user of its own.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}/0", self.port)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Starts it again in the same place with the same data.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let sentinel = self.sentinel.as_deref();
        self.child = spawn(self.port, &self.folder, sentinel, &self.arguments);
        assert!(self.wait_until_ready(), "redis-server does not come back");
    }

    /// Ends it as a crash would, and starts it again in the same place with no data.
    pub fn restart_empty(&mut self) {
        self.kill();
        self.folder = TempDir::new().expect("a temporary folder");
        self.restart();
    }

    /// Stops it from answering, without closing anything.
    pub fn pause(&self) {
        signal(self.child.id(), "STOP");
    }

    /// Lets it answer again.
    pub fn resume(&self) {
        signal(self.child.id(), "CONT");
    }

    /// Runs one command by `redis-cli`; gives what it prints.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> String {
        self.try_cli(arguments)
            .unwrap_or_else(|output| panic!("{arguments:?}: {output}"))
    }

    /// The same, where its connection may be cut: Sentinels do that to whoever is connected when they
    /// give a Redis another role.
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

    /// One of the numbers that `INFO` gives: the first after `name` in a section; 0 where there is
    /// none.
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

/// A Sentinel waits for the disk at each change, and does nothing for half a minute (TILT) where it
/// was held up for two seconds: its folder is in memory, where the system has one there.
fn new_folder(in_memory: bool) -> TempDir {
    let memory = in_memory.then(|| TempDir::new_in("/dev/shm"));
    memory
        .and_then(Result::ok)
        .unwrap_or_else(|| TempDir::new().expect("a temporary folder"))
}

fn spawn(port: u16, folder: &TempDir, sentinel: Option<&str>, arguments: &[String]) -> Child {
    let mut command = Command::new(program());
    if let Some(configuration) = sentinel {
        // A Sentinel writes what it learns into its file, and reads it when it comes back.
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

/// The server to start: another one than `redis-server` where `LTM_TEST_REDIS_SERVER` names it, such as Valkey's.
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
        // One that asks for a password is up, too.
        Ok(matches!(&answer, b"+PONG" | b"-NOAU"))
    };
    ask().unwrap_or(false)
}

/// Sends a process a signal: `TERM`.
pub fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: the program is not on every machine.
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -s {name} {pid}")])
        .status()
        .expect("a shell runs");
    assert!(sent.success(), "no process {pid} takes SIG{name}");
}
