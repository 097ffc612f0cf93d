//! The program of a service: arguments, settings, log, then the service until it is told to stop.

use std::{
    collections::HashMap,
    error::Error,
    future::Future,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use ltm_auth::AuthSettings;
use ltm_settings::SettingError;
use ltm_store::RedisSettings;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    log::LogSettings,
    run_error::Failure,
    settings::{self, SettingsError},
    shutdown::Shutdown,
    tasks::Tasks,
};
use crate::{
    http::settings::HttpSettings,
    telemetry::{settings::TracingSettings, trace::Tracing},
};

/// The exit code of a service whose settings cannot be used, as that of `ltm` for wrong arguments.
const WRONG_SETTING: u8 = 2;
/// How long `--probe` waits for the service.
const PROBE_TIMEOUT: Duration = Duration::from_secs(4);

/// The arguments of every service.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// Read settings from this TOML file; environment variables such as LTM__REDIS__URL override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the effective settings as TOML, without secrets, and exit
    #[arg(long)]
    pub print_config: bool,
    /// Ask the service that runs with these settings whether it is ready; exit with 0 if it is, else with 1
    #[arg(long)]
    pub probe: bool,
}

/// The settings of a service.
pub trait Program: Default + Serialize + DeserializeOwned {
    /// The name of the service in traces.
    const NAME: &'static str;

    /// The sections that every service has.
    fn common(&self) -> Common<'_>;
    /// The address that the service listens on.
    fn listen(&self) -> &str;
    /// Rejects values in the service's own sections that it cannot run with.
    ///
    /// # Errors
    ///
    /// Names the setting.
    fn check(&self) -> Result<(), SettingError>;
}

/// The sections that every service has.
#[derive(Clone, Copy)]
pub struct Common<'a> {
    /// The section `redis`.
    pub redis: &'a RedisSettings,
    /// The section `http`.
    pub http: &'a HttpSettings,
    /// The section `auth`.
    pub auth: &'a AuthSettings,
    /// The section `log`.
    pub log: &'a LogSettings,
    /// The section `tracing`.
    pub tracing: &'a TracingSettings,
}

impl Common<'_> {
    fn check(self) -> Result<(), SettingError> {
        self.redis.check()?;
        self.http.check()?;
        self.auth.check()?;
        self.tracing.check()
    }
}

/// Reads the settings of a service from the text of a TOML file and the given variables.
///
/// # Errors
///
/// A value is wrong, or a setting is unknown.
pub fn read_settings<P: Program>(
    file: &str,
    given: HashMap<String, String>,
) -> Result<P, SettingsError> {
    checked(settings::parse(file, given)?)
}

/// Reads only the section `redis`, from the same sources as a service, for tools that need no other section.
///
/// # Errors
///
/// As [`read_settings`].
pub fn load_redis(file: Option<&Path>) -> Result<RedisSettings, SettingsError> {
    #[derive(Default, Serialize, Deserialize)]
    struct Section {
        redis: RedisSettings,
    }
    let Section { redis } = settings::load(file)?;
    redis.check()?;
    Ok(redis)
}

fn checked<P: Program>(settings: P) -> Result<P, SettingsError> {
    settings.common().check()?;
    settings.check()?;
    Ok(settings)
}

/// Runs a service: gives `serve` the settings, and the tasks of the process, whose shutdown tells it when to stop.
pub fn run<P, F, E>(arguments: &Arguments, serve: impl FnOnce(P, Tasks) -> F) -> ExitCode
where
    P: Program,
    F: Future<Output = Result<(), E>>,
    E: Failure,
{
    run_with(arguments, |_| {}, serve)
}

/// As [`run`]. `adjust` changes the settings before anything reads them.
pub fn run_with<P, F, E>(
    arguments: &Arguments,
    adjust: impl FnOnce(&mut P),
    serve: impl FnOnce(P, Tasks) -> F,
) -> ExitCode
where
    P: Program,
    F: Future<Output = Result<(), E>>,
    E: Failure,
{
    let Err(error) = try_run(arguments, adjust, serve) else {
        return ExitCode::SUCCESS;
    };
    // If standard error is closed, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "error: {error}");
    let served = error.downcast_ref::<E>();
    if error.is::<SettingsError>() || served.is_some_and(Failure::is_wrong_setting) {
        return ExitCode::from(WRONG_SETTING);
    }
    ExitCode::FAILURE
}

fn try_run<P, F, E>(
    arguments: &Arguments,
    adjust: impl FnOnce(&mut P),
    serve: impl FnOnce(P, Tasks) -> F,
) -> Result<(), Box<dyn Error>>
where
    P: Program,
    F: Future<Output = Result<(), E>>,
    E: Failure,
{
    let mut settings: P = settings::load(arguments.config.as_deref())?;
    adjust(&mut settings);
    let settings = checked(settings)?;
    if arguments.print_config {
        let text = toml::to_string(&settings)?;
        return Ok(io::stdout().write_all(text.as_bytes())?);
    }
    if arguments.probe {
        let listen = settings.listen();
        return probe(listen).map_err(|e| format!("{listen}: {e}").into());
    }
    let common = settings.common();
    common.log.install().map_err(SettingsError::from)?;
    let tracing = Tracing::start(common.tracing, P::NAME).map_err(SettingsError::from)?;
    raise_file_limit();
    let outcome = actix_web::rt::System::new().block_on(async {
        let tasks = Tasks::new(Shutdown::on_signals()?);
        let served = serve(settings, tasks.clone()).await;
        let ended = tasks.wait().await;
        served?;
        Ok(ended?)
    });
    tracing.stop();
    outcome
}

/// Lets the process open as many files as the system allows: many shells and service managers start a process with a
/// limit of 1024, and each subscriber of a gateway needs one.
fn raise_file_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => tracing::debug!(files, "raised the limit of open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

/// Requests `/readyz` of the service on this machine.
fn probe(listen: &str) -> Result<(), String> {
    let mut address: SocketAddr = listen
        .to_socket_addrs()
        .map_err(|e| e.to_string())?
        .next()
        .ok_or("the address cannot be resolved")?;
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
