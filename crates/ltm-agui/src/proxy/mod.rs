//! The recorder as a service: a page runs an agent through it, and reads the LTM of the thread.

mod event_stream;
mod http;
mod inputs;
mod lost_runs;
mod recorder_service;
mod recording;
mod run;
mod runs;
mod serve;
mod settings;
mod source;
mod thread_log;

pub use recorder_service::StartError;
pub use serve::serve;
pub use settings::{AguiSettings, Settings};
