//! The HTTP service that takes snapshots from the engines that run LTMs and writes them to Redis.
//!
//! [`run`] is the whole service; [`configure`] mounts its routes in another server.
//!
//! - `http`: paths, headers, bodies and answers; the only part that knows of HTTP;
//! - `writer`: appends entries to logs;
//! - `reader`: documents, histories and states;
//! - `formats`: what the members of a structure or an item must be;
//! - `state_cache`: the states in memory, which both use.

mod app;
mod body_budget;
mod formats;
mod http;
mod json_work;
mod list_check;
mod metrics;
mod object;
mod per_ltm;
mod reader;
mod retention_sweep;
mod run;
mod settings;
mod state_cache;
mod waits;
mod writer;

pub use app::Api;
pub use http::{configure, snapshot_of};
pub use run::run;
pub use settings::{ApiSettings, Settings};
