//! The memory of the states that the API caches.

use super::compression::recorded_state;
use crate::{
    error::Error,
    load::fill::fill,
    report::{Row, progress::Progress},
    targets::Target,
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// LTMs.
    #[arg(long, default_value_t = 50)]
    pub(crate) ltms: usize,
    /// The bytes of each state. It consists of recorded snapshots.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) bytes: usize,
}

/// Appends to LTMs with large states, and reads the memory of the API before and after.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let state = recorded_state(load.bytes)?;
    let length = state.to_string().len();
    let api = || {
        let api = target.processes.iter().find(|it| it.name() == "ltm-api");
        api.map_or(f64::NAN, |api| api.memory() as f64)
    };
    // The memory that the first states need once does not count.
    fill(target, &target.channels(2, &state)?, 1, 100)?;
    let before = api();
    let progress = Progress::new("cached-state".into(), 1);
    fill(target, &target.channels(load.ltms, &state)?, 1, 100)?;
    progress.at(1);
    let grown = api() - before;
    let shown = format!("{} × {} kB", load.ltms, length / 1000);
    let each = grown / (load.ltms * length) as f64;
    Ok(Row::new("cached-state", target.kind, shown).with("bytes per byte", each))
}
