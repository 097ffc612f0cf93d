//! HAProxy with the deployed configuration.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{Service, free_port, until, until_blocking};

/// The configuration that `docker-compose.yml` gives to HAProxy.
const DEPLOYED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/haproxy.cfg");

/// An HAProxy in front of APIs and gateways. It ends when the value is dropped.
pub struct Haproxy {
    child: Child,
    port: u16,
    folder: TempDir,
}

/// Its log file, in its folder.
const LOG: &str = "log";

impl Haproxy {
    /// Starts HAProxy. The servers are named `api0`, `gateway0`, `gateway1` and so on.
    pub fn start(apis: &[&Service], gateways: &[&Service]) -> Self {
        Self::with(apis, gateways, &[])
    }

    /// Starts HAProxy with parts of the configuration replaced. Each part must occur once.
    pub fn with(apis: &[&Service], gateways: &[&Service], changes: &[(&str, &str)]) -> Self {
        // Another process may take the port before HAProxy does. HAProxy then ends, and the next port is tried.
        for _ in 0..20 {
            let folder = TempDir::new().expect("a temporary folder");
            let port = free_port();
            let file = folder.path().join("haproxy.cfg");
            let text = changed(configuration(port, &folder, apis, gateways), changes);
            std::fs::write(&file, text).expect("a file can be written");
            let log = File::create(folder.path().join(LOG)).expect("a file can be made");
            let child = Command::new("haproxy")
                .args(["-db", "-f"])
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(Stdio::null())
                .spawn()
                .expect("haproxy is on PATH (make test installs it)");
            let mut haproxy = Self {
                child,
                port,
                folder,
            };
            if haproxy.wait_until_ready() {
                return haproxy;
            }
        }
        panic!("haproxy does not start");
    }

    /// Its base URL.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A WebSocket URL on it: `/ws/1?after=0`.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// What HAProxy knows about a server, or about a whole backend (`BACKEND`): the columns of `show stat`.
    pub fn stat(&self, backend: &str, server: &str) -> HashMap<String, String> {
        let table = self.ask("show stat").expect("it answers");
        let mut lines = table.trim_start_matches("# ").lines();
        let names: Vec<&str> = lines.next().expect("a head").split(',').collect();
        let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
        let row = rows
            .into_iter()
            .find(|row| row.starts_with(&[backend, server]))
            .expect("there is such a server");
        let columns = names.iter().zip(row);
        columns
            .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
            .collect()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).expect("it has a log")
    }

    /// Waits until HAProxy sees this server as `UP` or `DOWN`.
    pub async fn until_seen(&self, backend: &str, server: &str, state: &str) {
        until(&format!("HAProxy sees {server} as {state}"), async || {
            self.stat(backend, server)["status"].starts_with(state)
        })
        .await;
    }

    fn ask(&self, question: &str) -> std::io::Result<String> {
        let mut socket = UnixStream::connect(self.folder.path().join("stats"))?;
        writeln!(socket, "{question}")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn wait_until_ready(&mut self) -> bool {
        until_blocking("HAProxy answers or ends", || {
            let ended = self.child.try_wait().expect("its status can be read");
            match ended {
                Some(_) => Some(false),
                None => self.ask("show info").is_ok().then_some(true),
            }
        })
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The deployed configuration, with local addresses in place of Docker's DNS names.
fn configuration(port: u16, folder: &TempDir, apis: &[&Service], gateways: &[&Service]) -> String {
    let servers = |name: &str, services: &[&Service]| {
        let line = |(number, service): (usize, &&Service)| {
            format!("server {name}{number} {}", service.address())
        };
        let lines: Vec<String> = services.iter().enumerate().map(line).collect();
        lines.join("\n    ")
    };
    let stats = folder.path().join("stats");
    let stats = format!(
        "global\n    stats socket {} level user\n    log stdout",
        stats.display()
    );
    let text = std::fs::read_to_string(DEPLOYED).expect("the repository has it");
    let changes = [
        ("global\n    log stdout", stats.as_str()),
        ("bind :8000", &format!("bind 127.0.0.1:{port}")),
        ("resolvers docker init-addr none resolve-prefer ipv4 ", ""),
        ("server-template api 16 api:8000", &servers("api", apis)),
        (
            "server-template gateway 64 gateway:8000",
            &servers("gateway", gateways),
        ),
    ];
    changed(text, &changes)
}

fn changed(mut text: String, changes: &[(&str, &str)]) -> String {
    for (deployed, here) in changes {
        let times = text.matches(deployed).count();
        assert_eq!(times, 1, "{deployed:?} in {DEPLOYED}");
        text = text.replace(deployed, here);
    }
    text
}
