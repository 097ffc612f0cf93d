//! Which commands only read, so that they can be sent twice.

use redis::{Arg, Cmd, Pipeline};

use crate::redis::script;

/// The commands that change nothing.
const COMMANDS: [&[u8]; 19] = [
    b"EXISTS",
    b"GET",
    b"HGET",
    b"HGETALL",
    b"HLEN",
    b"HMGET",
    b"HSCAN",
    b"INFO",
    b"PING",
    b"SCAN",
    b"TIME",
    b"XRANGE",
    b"XREVRANGE",
    b"ZCOUNT",
    b"ZLEXCOUNT",
    b"ZRANGEBYLEX",
    b"ZRANGEBYSCORE",
    b"ZREVRANGEBYLEX",
    b"ZSCORE",
];

/// Whether a command changes nothing.
pub(crate) fn is_read(cmd: &Cmd) -> bool {
    let mut arguments = cmd.args_iter();
    let Some(Arg::Simple(name)) = arguments.next() else {
        return false;
    };
    match (name, arguments.next()) {
        (b"EVALSHA", Some(Arg::Simple(hash))) => script::is_read(hash),
        _ => COMMANDS.contains(&name),
    }
}

/// Whether all commands change nothing.
pub(crate) fn are_reads(pipeline: &Pipeline) -> bool {
    pipeline.cmd_iter().all(is_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_commands_that_write_are_no_reads() {
        assert!(is_read(redis::cmd("GET").arg("a")));
        assert!(!is_read(redis::cmd("GETDEL").arg("a")));
        assert!(is_read(&script::READ.call(&["a", "b", "c"])));
        assert!(!is_read(&script::APPEND.call(&["a"])));
        let mut both = redis::pipe();
        both.cmd("GET").arg("a").cmd("HDEL").arg("a").arg("b");
        assert!(!are_reads(&both));
    }
}
