//! The Lua scripts that run inside Redis.

use std::sync::LazyLock;

use redis::{Cmd, RedisError, Value};

use crate::{error::RedisWriteError, redis::client::Redis};

/// Space for this many arguments is reserved; most calls need no more.
const ARGUMENTS: usize = 24;
/// The bytes reserved for the arguments, without the payload.
const SMALL_ARGUMENTS: usize = 512;

/// A script. Calls name it by its hash.
pub(crate) struct Script {
    code: &'static str,
    hash: String,
    /// Whether it changes nothing.
    is_read: bool,
}

macro_rules! script {
    ($name:ident, $file:literal, $is_read:literal) => {
        pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("../scripts/", $file)), $is_read));
    };
    ($name:ident, $file:literal) => {
        script!($name, $file, false);
    };
}

script!(APPEND, "append.lua");
script!(CREATE, "create.lua");
script!(RESERVE, "reserve.lua");
script!(READ, "read.lua", true);
script!(ENTRIES, "entries.lua", true);
script!(CHECKPOINT, "checkpoint.lua");
script!(TRIM, "trim.lua");
script!(DELETE, "delete.lua");
script!(ADOPT, "adopt.lua");
script!(COPY, "copy.lua");
script!(DISCARD, "discard.lua");
script!(AGAIN, "again.lua");
script!(LIST, "list.lua");
script!(UNBIND, "unbind.lua");
script!(BIND, "bind.lua");
script!(LEND, "lend.lua");
script!(REVOKE, "revoke.lua");
script!(INDEX, "index.lua");
script!(WORDS, "words.lua", true);
script!(NOTE_ERRORS, "note_errors.lua");
script!(KEYS, "keys.lua", true);
script!(RESTORE, "restore.lua");
script!(BURY, "bury.lua");

impl Script {
    fn new(code: &'static str, is_read: bool) -> Self {
        let hash = redis::Script::new(code).get_hash().to_owned();
        Self {
            code,
            hash,
            is_read,
        }
    }

    /// A call with these keys. The caller adds the arguments. `redis::Script` would copy them twice.
    pub(crate) fn call(&self, keys: &[&str]) -> Cmd {
        self.call_with_capacity(keys, 0)
    }

    /// A call with these keys, and with space for a payload of `bytes`.
    pub(crate) fn call_with_capacity(&self, keys: &[&str], bytes: usize) -> Cmd {
        let mut cmd = Cmd::with_capacity(ARGUMENTS, SMALL_ARGUMENTS + bytes);
        cmd.arg("EVALSHA");
        cmd.arg(&self.hash).arg(keys.len()).arg(keys);
        cmd
    }

    /// Runs a call. Loads the script first if Redis does not know it.
    pub(crate) async fn run(&self, redis: &Redis, call: &Cmd) -> Result<Value, RedisError> {
        match self.send(redis, call).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                self.load(redis, call).await?;
                after_load(self.send(redis, call).await)
            }
            outcome => outcome,
        }
    }

    async fn send(&self, redis: &Redis, call: &Cmd) -> Result<Value, RedisError> {
        match self.is_read {
            true => redis.read(call).await,
            false => redis.query(call).await,
        }
    }

    /// Runs a call that writes, and waits for replicas: see [`Redis::write`].
    pub(crate) async fn write(&self, redis: &Redis, call: &Cmd) -> Result<Value, RedisWriteError> {
        match redis.write(call).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                self.load(redis, call).await?;
                match redis.write(call).await {
                    Err(RedisWriteError::Redis(error)) => Ok(after_load(Err(error))?),
                    outcome => outcome,
                }
            }
            outcome => outcome,
        }
    }

    async fn load(&self, redis: &Redis, call: &Cmd) -> Result<(), RedisError> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.code);
        redis.query_beside(call, &load).await?;
        Ok(())
    }
}

/// The error if Redis does not have what was just written: another Redis has become the primary. A later try succeeds.
pub(crate) fn lost_by_failover(what: &str) -> RedisError {
    let text =
        format!("another Redis became the primary, and does not have {what} that was just written");
    std::io::Error::new(std::io::ErrorKind::NotConnected, text).into()
}

/// If Redis does not know a script that was just loaded, another Redis has become the primary. A later try finds it.
fn after_load(outcome: Result<Value, RedisError>) -> Result<Value, RedisError> {
    match outcome {
        Err(error) if error.code() == Some("NOSCRIPT") => Err(lost_by_failover("a script")),
        outcome => outcome,
    }
}
