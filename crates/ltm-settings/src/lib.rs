//! What the sections of the settings are made of: lists, durations, sizes, bounds, and the error that names a setting.
//!
//! A section is a struct with a default, and checks itself. Its doc comments are the source of `docs/settings.md`: the
//! first paragraph of a field says what the setting means, the second one when to change it.

mod bounds;
mod list;
mod shown;
mod units;

pub use bounds::{SettingError, check_pause, check_wait, within};
pub use list::list;
pub use shown::{shown_node, shown_url};
pub use units::{bytes, duration};
