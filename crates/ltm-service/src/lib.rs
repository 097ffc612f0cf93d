//! The process around a service: settings, log, signals, the HTTP server, health, and the one
//! place that maps errors to HTTP answers.

mod health;
mod log;
mod origins;
mod problem;
mod program;
mod server;
mod settings;
mod shutdown;

pub use health::Readiness;
pub use log::{LogFormat, LogSettings};
pub use origins::{CorsSettings, Origins};
pub use problem::{ProblemResponse, method_not_allowed};
pub use program::{Arguments, Program, run};
pub use server::Server;
pub use settings::{OtherSection, SettingsError, load};
pub use shutdown::Shutdown;
