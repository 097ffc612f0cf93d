//! What `make guard` counts; nothing else uses it.

use ltm_types::LtmId;

use crate::{
    log::append::{Append, append_call},
    redis::client::Redis,
};

/// The bytes of the script call that appends entries.
pub fn append_command(id: LtmId, append: &Append<'_>, redis: &Redis) -> Vec<u8> {
    append_call(id, append, redis).get_packed_command()
}
