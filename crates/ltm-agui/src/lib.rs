//! Records AG-UI agents: [`record`] turns the events of a run into snapshots of an LTM, and [`serve`] is the recorder: a proxy
//! between pages and an agent that records each run.
//!
//! A run belongs to no page: a task of the recorder reads the agent and writes the LTM, and every page reads the LTM at the
//! gateway. So a page can leave, and another one can come.

mod proxy;
pub mod record;

pub use proxy::{AguiSettings, Settings, StartError, serve};
