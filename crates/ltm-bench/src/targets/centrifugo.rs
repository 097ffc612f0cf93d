//! Centrifugo on Redis, with history and recovery on.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use super::process::{Process, START, free_port};
use crate::{error::Error, load::http::Http};

/// The path of the program: where `make bench` installs it, or on `PATH`.
pub(crate) fn program() -> Option<PathBuf> {
    // `target/centrifugo`, beside the folder of this program's profile.
    let own = env::current_exe().ok();
    let profile = own.as_deref().and_then(Path::parent);
    let installed = profile.and_then(Path::parent).map(|t| t.join("centrifugo"));
    let search = env::var_os("PATH").unwrap_or_default();
    let mut places = installed.into_iter().chain(env::split_paths(&search));
    places.find_map(|place| Some(place.join("centrifugo")).filter(|path| path.is_file()))
}

/// Starts it on this Redis, and waits until it takes publications; returns its address, too.
pub(super) fn start(redis: &str, folder: &Path) -> Result<(Process, String), Error> {
    let program = program().ok_or(Error::Centrifugo)?;
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let path = folder.join("centrifugo.json");
    fs::write(&path, settings(port, redis))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&path).current_dir(folder);
    let process = Process::start("centrifugo", &mut command, &address)?;
    let began = Instant::now();
    while let Err(error) = Http::connect(&address)?.post("/api/info", b"{}") {
        if began.elapsed() > START {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((process, address))
}

/// Its settings: nobody has to identify himself, and a channel keeps as many messages as Nchan does.
fn settings(port: u16, redis: &str) -> String {
    json!({
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"insecure": true},
        "client": {"insecure": true},
        "log": {"level": "error"},
        "engine": {"type": "redis", "redis": {"address": format!("redis://{redis}")}},
        "channel": {"without_namespace": {
            "history_size": 1000, "history_ttl": "1h", "force_positioning": true, "force_recovery": true,
        }},
    })
    .to_string()
}
