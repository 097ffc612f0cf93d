//! Which commands only read, so that they can be sent twice.

use redis::{Arg, Cmd, Pipeline};

/// The commands that change nothing. SCAN and HSCAN are not among them: another process of Redis may not know their cursors.
const COMMANDS: [&[u8]; 18] = [
    b"EXISTS",
    b"GET",
    b"HGET",
    b"HGETALL",
    b"HLEN",
    b"HMGET",
    b"INFO",
    b"PING",
    b"PTTL",
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
    matches!(cmd.args_iter().next(), Some(Arg::Simple(name)) if COMMANDS.contains(&name))
}

/// Whether all commands change nothing.
pub(crate) fn are_reads(pipeline: &Pipeline) -> bool {
    pipeline.cmd_iter().all(is_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_with_a_write_is_no_read() {
        assert!(is_read(redis::cmd("GET").arg("a")));
        assert!(!is_read(redis::cmd("GETDEL").arg("a")));
        let mut both = redis::pipe();
        both.cmd("GET").arg("a").cmd("HDEL").arg("a").arg("b");
        assert!(!are_reads(&both));
    }
}
