//! nginx with one file: the floor of answers that are the same for all clients.

use std::{io, path::Path, process::Command};

use tempfile::TempDir;

use super::process::{Process, free_port};
use crate::error::Error;

/// A running nginx. It ends when this is dropped.
pub(crate) struct FileServer {
    pub(crate) process: Process,
    pub(crate) address: String,
    _folder: TempDir,
}

impl FileServer {
    /// The path of its file.
    pub(crate) const PATH: &'static str = "/document.json";

    /// Serves this text; `None` if nginx is not installed.
    pub(crate) fn start(text: &[u8]) -> Result<Option<Self>, Error> {
        let folder = TempDir::new()?;
        let address = format!("127.0.0.1:{}", free_port()?);
        std::fs::write(folder.path().join("document.json"), text)?;
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, settings(&address, folder.path()))?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&path).args(["-g", "daemon off;"]);
        match Process::start("nginx", &mut command, &address) {
            Ok(process) => Ok(Some(Self {
                process,
                address,
                _folder: folder,
            })),
            Err(Error::Spawn { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Two workers, as the API has on two cores, and what nginx recommends for files.
fn settings(address: &str, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "user root;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 10000; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10;
  types {{ application/json json; }}
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {address} backlog=65535;
    root {folder};
  }}
}}
"
    )
}
