//! Records AG-UI agents: [`record`] turns the events of a run into snapshots of an LTM, and [`serve`] is a proxy that stands
//! between pages and an agent, and records what passes.
//!
//! A run belongs to no page: a task of the proxy reads the agent and writes the LTM, and every page reads the LTM at the
//! gateway. So a page can leave, and another one can come.

mod proxy;
pub mod record;

pub use proxy::{AguiSettings, Settings, StartError, serve};
