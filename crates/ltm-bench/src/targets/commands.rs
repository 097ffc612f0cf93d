//! The commands that start the services and Redis, with the settings of all measurements.

use std::{path::Path, process::Command};

use super::process::beside;
use crate::error::Error;

/// The command of a service on a free port. Its limits are above every load.
pub(crate) fn service(name: &str) -> Result<Command, Error> {
    let mut command = Command::new(beside(name)?);
    command
        .env("LTM__API__LISTEN", "127.0.0.1:0")
        .env("LTM__GATEWAY__LISTEN", "127.0.0.1:0")
        .env("LTM__API__MAX_BODY", "64MiB")
        .env("LTM__API__MAX_STATE", "64MiB")
        .env("LTM__HTTP__MAX_CONNECTIONS", "110000")
        .env("LTM__GATEWAY__MAX_SUBSCRIBERS", "100000")
        .env("LTM__GATEWAY__MAX_SUBSCRIBERS_PER_LTM", "100000")
        .env("LTM__GATEWAY__MAX_FOLLOWED", "100000");
    Ok(command)
}

/// The command of a Redis server on this port, with its files in this folder.
pub(crate) fn redis(port: u16, folder: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "yes", "--dir"])
        .arg(folder);
    command
}
