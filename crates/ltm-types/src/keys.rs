//! Names of keys and channels in Redis.
//!
//! All keys of one LTM share the hash tag `{id}`, so they are in one slot of a Redis Cluster and one script can use them.

use std::fmt::Display;

use crate::{LtmId, LtmKey};

/// The counter for new ids.
pub const IDS: &str = "ltm:ids";

/// The index that lists LTMs: a sorted set whose members are ids of twenty digits.
pub fn index(playground: bool) -> &'static str {
    if playground {
        "ltm:index:playground"
    } else {
        "ltm:index"
    }
}

/// The index that lists the LTMs of one class.
pub fn class_index(playground: bool, fqn: &str) -> String {
    format!("{}:fqn:{fqn}", index(playground))
}

/// The members of an index whose LTM was not found: a sorted set by the time since then, in milliseconds since 1970.
pub const MISSING: &str = "ltm:index:missing";

/// The terms by which lists find LTMs: a sorted set of `<playground><kind><text>`, a zero byte, and an id of twenty
/// digits. All keys with the hash tag `{list}` are in one slot of a Redis Cluster, so one script can use them.
pub const LIST_TERMS: &str = "ltm:{list}:terms";

/// What the index of the lists holds of each LTM: a hash of ids of twenty digits.
pub const LIST_RECORDS: &str = "ltm:{list}:records";

/// How many LTMs have each class and status: a hash.
pub const LIST_COUNTS: &str = "ltm:{list}:counts";

/// The LTMs that the index may not show as they are: a sorted set by the time of the mark, in microseconds since 1970.
pub const LIST_MARKED: &str = "ltm:{list}:marked";

/// The LTMs by the time of an update that is at most a minute older than the last one: a sorted set, in milliseconds
/// since 1970.
pub const LIST_UPDATED: &str = "ltm:{list}:updated";

/// Blocks of consecutive ids by the earliest creation or update of their LTMs: a sorted set.
pub const LIST_FIRST: &str = "ltm:{list}:first";

/// Blocks of consecutive ids by the latest creation of their LTMs: a sorted set.
pub const LIST_LAST: &str = "ltm:{list}:last";

/// Whether the index of the lists is complete, and how far its check is: a hash.
pub const LIST_CHECK: &str = "ltm:{list}:check";

/// The lock of the process that checks the index of the lists at the moment.
pub const LIST_TURN: &str = "ltm:{list}:turn";

/// Set as soon as an LTM overrides the settings of retention.
pub const RETAINED: &str = "ltm:retention:used";

/// The lock of the process that enforces retention at the moment.
pub const RETENTION_TURN: &str = "ltm:retention:turn";

/// An id as a member of the index. It is zero-padded, so that the order of the texts is the order of the ids.
pub fn index_member(id: LtmId) -> String {
    format!("{:020}", id.get())
}

/// The stream.
pub fn log(id: LtmId) -> String {
    format!("ltm:{{{id}}}:log")
}

/// The hash of the properties of the LTM besides its state.
pub fn meta(id: LtmId) -> String {
    format!("ltm:{{{id}}}:meta")
}

/// The hash of a state and its cursor.
pub fn checkpoint(id: LtmId) -> String {
    format!("ltm:{{{id}}}:checkpoint")
}

/// The hash of the state at the beginning of a trimmed log.
pub fn base(id: LtmId) -> String {
    format!("ltm:{{{id}}}:base")
}

/// The last cursor of a deleted LTM. It reserves the id forever.
pub fn deleted(id: LtmId) -> String {
    format!("ltm:{{{id}}}:deleted")
}

/// The hash of the latest Idempotency-Keys.
pub fn idempotency(id: LtmId) -> String {
    format!("ltm:{{{id}}}:idem")
}

/// The response to a creation with an Idempotency-Key.
pub fn created(key: &str) -> String {
    format!("ltm:created:{key}")
}

/// The LTM and the last part of a key that belongs to one, for example `log`.
pub fn part_of(name: &str) -> Option<(LtmId, &str)> {
    let (id, part) = name.strip_prefix("ltm:{")?.split_once("}:")?;
    Some((id.parse().ok()?, part))
}

/// The id of the LTM that has this key. The number of bytes of the class keeps it apart from the key: both may contain
/// any character.
pub fn keyed(key: &LtmKey) -> String {
    let fqn = key.fqn();
    format!("ltm:key:{}:{fqn}:{}", fqn.len(), key.key())
}

/// The key that this [`keyed`] names.
pub fn key_of(name: &str) -> Option<LtmKey> {
    let (bytes, rest) = name.strip_prefix("ltm:key:")?.split_once(':')?;
    let (fqn, rest) = rest.split_at_checked(bytes.parse().ok()?)?;
    let known = LtmKey::new(fqn, rest.strip_prefix(':')?).ok()?;
    (keyed(&known) == name).then_some(known)
}

/// The caller that a ticket was issued to, by the hash of the ticket.
pub fn ticket(hash: &str) -> String {
    format!("ltm:ticket:{hash}")
}

/// The credentials that are no longer valid, and when each is valid again.
pub const REVOCATIONS: &str = "ltm:revocations";

/// The channel on which each appended entry is published. All databases of a Redis share its channels, so the name
/// contains the number of the database.
pub fn live(database: i64, id: LtmId) -> String {
    format!("ltm:{database}:{{{id}}}:live")
}

/// The channel of one listener, for its probes. In a cluster, `tag` chooses the primary.
pub fn probe(tag: u32, listener: impl Display) -> String {
    format!("ltm:probe:{{{tag}}}:{listener}")
}

/// The LTM that has this [`live`] channel.
pub fn live_id(channel: &str) -> Option<LtmId> {
    let (database, rest) = channel.strip_prefix("ltm:")?.split_once(':')?;
    database.parse::<i64>().ok()?;
    let id = rest.strip_prefix('{')?.strip_suffix("}:live")?;
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_name_of_a_key_leads_back_to_it(fqn in "[a:0-9{}é]{1,6}", key in "[a:0-9{}é]{1,6}") {
            let key = LtmKey::new(fqn, key).unwrap();
            prop_assert_eq!(key_of(&keyed(&key)), Some(key));
        }

        #[test]
        fn other_names_name_no_key(name in "ltm:key:[0-9a-z:]{0,8}") {
            if let Some(key) = key_of(&name) {
                prop_assert_eq!(keyed(&key), name);
            }
        }
    }
}
