//! The program of a service: arguments, settings, log, then the service until it is told to stop.

use std::{
    fmt::Display,
    future::Future,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    log::LogSettings,
    settings::{self, SettingsError},
    shutdown::Shutdown,
    tasks::Tasks,
};
use crate::telemetry::{settings::TracingSettings, trace::Tracing};

/// How long `--probe` waits.
const PROBE_TIMEOUT: Duration = Duration::from_secs(4);

/// The arguments of every service.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// A TOML file with settings; variables such as LTM__REDIS__URL win over it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings in force as TOML, without secrets, and exit.
    #[arg(long)]
    pub print_config: bool,
    /// Ask the service that runs with these settings whether it is ready; exit with 0 or 1.
    #[arg(long)]
    pub probe: bool,
}

/// The settings of a service.
pub trait Program: Default + Serialize + DeserializeOwned {
    /// What traces call the service.
    const NAME: &'static str;

    /// The section `log`.
    fn log(&self) -> &LogSettings;
    /// The section `tracing`.
    fn tracing(&self) -> &TracingSettings;
    /// Where the service listens.
    fn listen(&self) -> &str;
    /// The settings without secrets.
    fn shown(self) -> Self;
    /// Refuses values that the service could not run with.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Value`] names the key.
    fn check(&self) -> Result<(), SettingsError>;
}

/// Runs a service: gives `serve` the settings, and the tasks of the process, whose shutdown tells it when to stop.
pub fn run<P, F, E>(arguments: &Arguments, serve: impl FnOnce(P, Tasks) -> F) -> ExitCode
where
    P: Program,
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    match try_run(arguments, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is all there is to say it on.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_run<P, F, E>(arguments: &Arguments, serve: impl FnOnce(P, Tasks) -> F) -> Result<(), String>
where
    P: Program,
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let settings: P = settings::load(arguments.config.as_deref()).map_err(|e| e.to_string())?;
    if arguments.print_config {
        let shown = toml::to_string(&settings.shown()).map_err(|e| e.to_string())?;
        return io::stdout()
            .write_all(shown.as_bytes())
            .map_err(|e| e.to_string());
    }
    if arguments.probe {
        return probe(settings.listen()).map_err(|e| format!("{}: {e}", settings.listen()));
    }
    settings.log().install()?;
    let tracing = Tracing::start(settings.tracing(), P::NAME)?;
    raise_file_limit();
    let outcome = actix_web::rt::System::new().block_on(async {
        let shutdown = Shutdown::on_signals().map_err(|e| e.to_string())?;
        let tasks = Tasks::new(shutdown);
        let served = serve(settings, tasks.clone()).await;
        let ended = tasks.wait().await;
        served.map_err(|e| e.to_string())?;
        ended.map_err(|e| e.to_string())
    });
    tracing.stop();
    outcome
}

/// Lets the process open as many sockets as the system allows: many shells and service managers
/// begin with 1024, which a gateway soon needs.
fn raise_file_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => tracing::debug!(files, "the limit of open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

/// Asks for `/readyz` on this machine.
fn probe(listen: &str) -> Result<(), String> {
    let mut address: SocketAddr = listen
        .to_socket_addrs()
        .map_err(|e| e.to_string())?
        .next()
        .ok_or("no such address")?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        stream.write_all(
            format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        let mut answer = String::new();
        stream.take(16 * 1024).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|e| e.to_string())?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(format!(
        "not ready: {}",
        answer.lines().last().unwrap_or_default()
    ))
}
