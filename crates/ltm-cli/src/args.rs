//! The arguments of the command line.

use std::{num::NonZeroUsize, path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand};
use ltm_client::{ServerUrl, Token};
use ltm_service::{SettingsError, load_redis};
use ltm_store::RedisSettings;
use ltm_types::{Cursor, LtmId};

use crate::json::JsonArgument;

const EXAMPLES: &str = "\
Examples:
  ltm dev                                      run everything on this machine
  ltm create app.Agent --state '{\"n\": 0}'      make an LTM; prints its id
  ltm append 1 --merge '{\"n\": 1}'              take a step
  ltm tail 1 --after 0                         follow it from the beginning
  ltm --json get 1 | jq .state                 read it in a script
  ltm play history.json --speed 10             play a recorded history into a new LTM";

/// Writes, reads and follows LTMs: long-running state machines whose every step is a snapshot.
#[derive(Debug, Parser)]
#[command(name = "ltm", version = ltm_service::VERSION, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    /// Where the API and the gateway are
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "LTM_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8000"
    )]
    pub url: ServerUrl,
    /// Who calls, where the services ask: a JWT or an API key
    #[arg(long, global = true, env = "LTM_TOKEN", hide_env_values = true)]
    pub token: Option<Token>,
    /// Print JSON, one object per line
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the API and the gateway on this machine, with a Redis of their own
    #[command(after_help = "\
Examples:
  ltm dev
  ltm dev --listen 127.0.0.1:9000 --data-dir ./data
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm dev     use a Redis that runs

Needs `redis-server` on the PATH where LTM__REDIS__URL is not set. Ctrl-C ends it; what was written stays.
Every other setting of the services applies, too: `ltm-api --print-config`, `ltm-gateway --print-config`.")]
    Dev(DevArgs),
    /// Prove the logs of LTMs: read in Redis itself, with no service in between
    #[command(after_help = "\
Examples:
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm verify 1
  ltm verify --redis redis://127.0.0.1:6379/0 --all

Every entry must continue the one before it, every patch must apply to the state before it, and
checkpoints and counters must say what the log says. What is wrong is printed; the exit code is 1 then.")]
    Verify(VerifyArgs),
    /// Make an API key, for services that ask who calls
    #[command(after_help = "\
Examples:
  ltm key engine-1 --ltm 'app.*' --can write      for an engine that runs LTMs of these classes
  ltm key dashboard --ltm '*' --can read

The key goes to whoever calls: LTM_TOKEN=ltm_... ltm list. The rest goes into the file that auth.api_keys_file
names: it holds only a hash of the key, and is read again when it changes.")]
    Key(KeyArgs),
    /// Look at how Redis is set up, and say what to change
    #[command(after_help = "\
Examples:
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm doctor
  ltm doctor --redis redis://127.0.0.1:6379/0 --wait-replicas 1 --json
  ltm doctor --config ltm.toml --api-user ltm-api --gateway-user ltm-gateway

Prints what each service looks at before it says that it is ready, and more: users, round trips, memory,
persistence, replicas, clocks, and keys that do not belong together. It reads the settings of the services:
LTM__REDIS__SENTINELS, LTM__REDIS__CLUSTER_NODES, LTM__REDIS__TLS_CA_FILE. The exit code is 1 where something
keeps a promise from holding; a warning leaves it 0.")]
    Doctor(DoctorArgs),
    /// Ask services that run.
    #[command(flatten)]
    Client(ClientCommand),
}

/// What to do with LTMs of services that run.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Create an LTM
    #[command(after_help = "\
Examples:
  ltm create app.Agent
  ltm create app.Agent --name 'My agent' --state '{\"todo\": [\"plan\"]}'
  ltm create app.Agent --state state.json --structure structure.json --playground

Where a value is JSON, the name of a file that holds JSON works too.")]
    Create(CreateArgs),
    /// List LTMs, newest first
    #[command(after_help = "\
Examples:
  ltm list --limit 5
  ltm --json list --all | jq -r .name")]
    List(ListArgs),
    /// Show an LTM: its state and its latest snapshots
    #[command(after_help = "\
Examples:
  ltm get 1
  ltm --json get 1 | jq .state      the whole document
  ltm get 1 --at 5                  the state after snapshot 5
  ltm get 1 --at 5 --rollback 0     the same in the history that the first rollback took out")]
    Get(GetArgs),
    /// Append snapshots to an LTM
    #[command(after_help = "\
Examples:
  ltm append 1 --merge '{\"mood\": \"sleepy\"}'
  ltm append 1 --patch '[{\"op\": \"remove\", \"path\": \"/todo/0\"}]' --reason transition
  ltm append 1 steps.jsonl
  engine | ltm append 1 -

A file or the input holds snapshots as JSON objects, one after the other, each on a line or spread over
lines: {\"reason\": \"execute\", \"patch\": [...]}; instead of `patch`, the whole new `state` or a `merge` patch.

Each snapshot lands once: it is sent with an Idempotency-Key, and again after a failed connection or a 503.")]
    Append(AppendArgs),
    /// Go back in an LTM's history
    #[command(after_help = "\
Examples:
  ltm rollback 1 --to 5       snapshot 5 is the last again
  ltm rollback 1 --replay 5   back to before snapshot 5, for an engine that takes it again
  ltm rollback 1 --undo 0     take back the first rollback: ltm get 1 --rollbacks

Nothing is lost: what it takes out of the history is kept, too, and can be brought back.")]
    Rollback(RollbackArgs),
    /// Print the patch that leads from one snapshot of an LTM to another
    #[command(after_help = "\
Examples:
  ltm diff 1 3 7              what snapshots 4 to 7 changed in all
  ltm diff 1 7 3              what takes it back
  ltm --json diff 1 3 7 | jq length")]
    Diff(DiffArgs),
    /// Copy an LTM to the playground, with its history
    Copy(CopyArgs),
    /// Delete an LTM for ever
    #[command(after_help = "\
Examples:
  ltm delete 1                says what would be deleted
  ltm delete 1 --yes          deletes it

Its subscribers are told. Its id is never given again.")]
    Delete(DeleteArgs),
    /// Follow an LTM: print each snapshot as it is taken
    #[command(after_help = "\
Examples:
  ltm tail 1                  what comes from now on
  ltm tail 1 --after 0        everything
  ltm tail 1 --state          the state first
  ltm --json tail 1 | jq -c .snapshot.patch

After a disconnect it connects again and goes on where it was, without a gap or a double. Ctrl-C ends it.")]
    Tail(TailArgs),
    /// Import LTMs from Flou: documents as its GET /ltm/{id}?rollbacks=true gives them
    #[command(after_help = "\
Examples:
  curl 'http://flou:8000/api/v0/ltm/42?rollbacks=true' > 42.json
  ltm import 42.json --id 42
  ltm import recordings/*.json            files that say the id, too
  ltm import all.jsonl                    many documents, each with an `id`

History, rollbacks and errors are written as they were, with their times; the id is kept. An import that
was broken off goes on where it was when it is started again; what is there already is left alone.")]
    Import(ImportArgs),
    /// Follow what a running Flou publishes in its Redis, and write it
    #[command(after_help = "\
Examples:
  ltm bridge --from redis://flou-redis:6379/0 --reference http://flou:8000
  ltm bridge --from redis://flou-redis:6379/0

It listens to the channels ltm:*, so that LTMs of an engine that is not changed can be followed here; ids are kept.
With --reference it asks Flou for what is not published: names, LTMs that began before, and which rollback was
undone. Ctrl-C ends it; then it says what it wrote, and what it could not place and why.")]
    Bridge(BridgeArgs),
    /// Play a recorded history into a new LTM
    #[command(after_help = "\
Examples:
  ltm play history.json                  as fast as it was
  ltm play history.json --speed 10x      ten times as fast
  ltm --json get 1 > history.json        record one

The id of the new LTM is printed first, so that it can be followed while the history is played.")]
    Play(PlayArgs),
}

/// The arguments of `ltm create`.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// The LTM's class: app.Agent
    pub fqn: String,
    /// Its name; without it, the last word of the class
    #[arg(long)]
    pub name: Option<String>,
    /// Its first state, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    pub state: Option<JsonArgument>,
    /// What it was started with, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    pub payload: Option<JsonArgument>,
    /// Its parameters, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    pub params: Option<JsonArgument>,
    /// Its states and transitions, a JSON object
    #[arg(long, value_name = "FILE|JSON")]
    pub structure: Option<JsonArgument>,
    /// Put it on the playground
    #[arg(long)]
    pub playground: bool,
    /// Its id, instead of the next free one
    #[arg(long, value_name = "N")]
    pub id: Option<LtmId>,
    /// What is kept of it, where that is not what the service is set to:
    /// '{"max_entries": 1000, "max_age": "720h", "idle_ttl": null}'
    #[arg(long, value_name = "FILE|JSON")]
    pub retention: Option<JsonArgument>,
}

/// The arguments of `ltm list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// List the playground
    #[arg(long)]
    pub playground: bool,
    /// Only those of this class
    #[arg(long)]
    pub fqn: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value = "20")]
    pub limit: NonZeroUsize,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

/// The arguments of `ltm get`.
#[derive(Args, Debug)]
pub struct GetArgs {
    /// The LTM
    pub id: LtmId,
    /// Show its rollbacks too
    #[arg(long)]
    pub rollbacks: bool,
    /// Show only the state as of this snapshot
    #[arg(long, value_name = "INDEX", conflicts_with = "rollbacks")]
    pub at: Option<u64>,
    /// Look into the history that this rollback took out
    #[arg(long, value_name = "N", requires = "at")]
    pub rollback: Option<u64>,
}

/// The arguments of `ltm rollback`.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// The LTM
    pub id: LtmId,
    /// The snapshot that becomes the last
    #[arg(long, value_name = "INDEX", group = "target", required = true)]
    pub to: Option<u64>,
    /// The snapshot that is about to be taken again
    #[arg(long, value_name = "INDEX", group = "target")]
    pub replay: Option<u64>,
    /// The rollback that is undone, from 0
    #[arg(long, value_name = "N", group = "target")]
    pub undo: Option<u64>,
    /// Only where the LTM is at this cursor
    #[arg(long, value_name = "CURSOR")]
    pub if_match: Option<Cursor>,
    /// Who writes, so that an engine that was replaced is shut out: 'engine;epoch=7'
    #[arg(long, value_name = "NAME;epoch=N")]
    pub producer: Option<String>,
}

/// The arguments of `ltm diff`.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The LTM
    pub id: LtmId,
    /// The snapshot to begin at
    #[arg(value_name = "A")]
    pub from: u64,
    /// The snapshot to end at
    #[arg(value_name = "B")]
    pub to: u64,
    /// Look into the history that this rollback took out
    #[arg(long, value_name = "N")]
    pub rollback: Option<u64>,
}

/// The arguments of `ltm copy`.
#[derive(Args, Debug)]
pub struct CopyArgs {
    /// The LTM
    pub id: LtmId,
}

/// The arguments of `ltm delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// The LTM
    pub id: LtmId,
    /// Really delete it
    #[arg(long)]
    pub yes: bool,
    /// Only where the LTM is at this cursor
    #[arg(long, value_name = "CURSOR")]
    pub if_match: Option<Cursor>,
}

/// The arguments of `ltm append`.
#[derive(Args, Debug)]
pub struct AppendArgs {
    /// The LTM
    pub id: LtmId,
    /// Snapshots in a file; - reads standard input
    #[arg(group = "change", required_unless_present_any = ["patch", "state", "merge"])]
    pub file: Option<PathBuf>,
    /// One snapshot with this JSON Patch (RFC 6902)
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    pub patch: Option<JsonArgument>,
    /// One snapshot that leads to this state
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    pub state: Option<JsonArgument>,
    /// One snapshot with this merge patch (RFC 7396)
    #[arg(long, group = "change", value_name = "FILE|JSON")]
    pub merge: Option<JsonArgument>,
    /// Why the snapshot is taken [default: execute]
    #[arg(long, conflicts_with = "file")]
    pub reason: Option<String>,
    /// What was executed, any JSON
    #[arg(long, value_name = "FILE|JSON", conflicts_with = "file")]
    pub item: Option<JsonArgument>,
    /// Append only where the LTM is at this cursor, and nobody else writes in between
    #[arg(long, value_name = "CURSOR")]
    pub if_match: Option<Cursor>,
    /// Instead of a random key; the snapshots after the first get KEY-1, KEY-2 …
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Who writes, so that an engine that was replaced is shut out: 'engine;epoch=7'
    #[arg(long, value_name = "NAME;epoch=N")]
    pub producer: Option<String>,
}

/// The arguments of `ltm tail`.
#[derive(Args, Debug)]
pub struct TailArgs {
    /// The LTM
    pub id: LtmId,
    /// Begin after this cursor; 0 is the beginning
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<Cursor>,
    /// Begin with the whole state
    #[arg(long, conflicts_with = "after")]
    pub state: bool,
}

/// The arguments of `ltm import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// Files with documents; - reads standard input
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The id of the one document, instead of its own
    #[arg(long, value_name = "N")]
    pub id: Option<LtmId>,
}

/// The arguments of `ltm bridge`.
#[derive(Args, Debug)]
pub struct BridgeArgs {
    /// The Redis in which Flou publishes
    #[arg(
        long,
        value_name = "URL",
        env = "LTM_BRIDGE_FROM",
        hide_env_values = true
    )]
    pub from: String,
    /// Where Flou's API is
    #[arg(long, value_name = "URL")]
    pub reference: Option<ServerUrl>,
    /// How long a snapshot waits for the start of its LTM, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    pub hold: u64,
}

/// The arguments of `ltm play`.
#[derive(Args, Debug)]
pub struct PlayArgs {
    /// A document as `ltm --json get` prints it, or a recording that holds such `documents`
    pub file: PathBuf,
    /// How fast: 1, 10x, 0.5, max
    #[arg(long, default_value = "1")]
    pub speed: Speed,
    /// The id of the new LTM, instead of the next free one
    #[arg(long, value_name = "N")]
    pub id: Option<LtmId>,
    /// Its name, instead of the recorded one
    #[arg(long)]
    pub name: Option<String>,
    /// Play only the first N snapshots
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
}

/// The arguments of `ltm verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The LTMs
    #[arg(required_unless_present = "all")]
    pub ids: Vec<LtmId>,
    /// All that are listed
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Which Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Which Redis: as the services are told, or by an option.
#[derive(Args, Debug)]
pub struct RedisArgs {
    /// Where Redis is [default: what LTM__REDIS__URL or the file says, or redis://127.0.0.1:6379/0]
    #[arg(long = "redis", value_name = "URL", id = "redis_url")]
    pub url: Option<String>,
    /// The services' TOML file, for its section `redis`; variables such as LTM__REDIS__SENTINELS win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl RedisArgs {
    /// The settings that result.
    ///
    /// # Errors
    ///
    /// What is wrong with one.
    pub fn settings(&self) -> Result<RedisSettings, SettingsError> {
        let settings = load_redis(self.config.as_deref())?;
        Ok(RedisSettings {
            url: self.url.clone().unwrap_or(settings.url),
            ..settings
        })
    }
}

/// The arguments of `ltm key`.
#[derive(Args, Debug)]
pub struct KeyArgs {
    /// How whoever has it is called, in logs
    pub name: String,
    /// For which LTMs: ids, classes such as app.Agent or app.*, or * for all
    #[arg(long, required = true, value_delimiter = ',')]
    pub ltm: Vec<String>,
    /// What may be done: read, write (and read), or admin (all, and delete)
    #[arg(long, default_value = "write")]
    pub can: String,
}

/// The arguments of `ltm doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Which Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// How many replicas the services wait for, where that is not what redis.wait_replicas says
    #[arg(long, value_name = "N")]
    pub wait_replicas: Option<u32>,
    /// A user of Redis, to see whether it may do what the API does
    #[arg(long, value_name = "NAME")]
    pub api_user: Option<String>,
    /// The same for what the gateway does
    #[arg(long, value_name = "NAME")]
    pub gateway_user: Option<String>,
}

/// The arguments of `ltm dev`.
#[derive(Args, Debug)]
pub struct DevArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub listen: String,
    /// Where Redis keeps its data [default: $XDG_DATA_HOME/ltm-live or ~/.local/share/ltm-live]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A TOML file with settings; variables such as LTM__API__MAX_BODY win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How fast a history is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as it was recorded.
    Times(f64),
    /// Without waiting.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.strip_suffix('x').unwrap_or(text).parse() {
            Ok(times) if times > 0.0 && f64::is_finite(times) => Ok(Self::Times(times)),
            _ => Err("a speed is a number above 0, such as 1, 10x or 0.5, or `max`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn refused(line: &str) -> Option<ErrorKind> {
        Cli::try_parse_from(line.split(' ')).err().map(|e| e.kind())
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_append_has_exactly_one_source() {
        assert_eq!(refused("ltm append 1 --merge {}"), None);
        assert_eq!(refused("ltm append 1 -"), None);
        assert_eq!(
            refused("ltm append 1"),
            Some(ErrorKind::MissingRequiredArgument)
        );
        for line in [
            "ltm append 1 --merge {} --state {}",
            "ltm append 1 - --patch []",
            "ltm append 1 - --reason execute",
            "ltm tail 1 --after 0 --state",
            "ltm list --limit 3 --all",
            "ltm rollback 1 --to 3 --undo 0",
            "ltm get 1 --at 3 --rollbacks",
        ] {
            assert_eq!(refused(line), Some(ErrorKind::ArgumentConflict), "{line}");
        }
    }

    #[test]
    fn wrong_values_are_refused_before_anything_is_sent() {
        for line in [
            "ltm get 0",
            "ltm tail 1 --after soon",
            "ltm create app.Agent --state {broken",
            "ltm --url ftp://localhost list",
            "ltm play f --speed 0",
            "ltm list --limit 0",
        ] {
            assert_eq!(refused(line), Some(ErrorKind::ValueValidation), "{line}");
        }
    }

    #[test]
    fn a_speed_is_a_factor_or_max() {
        for (text, speed) in [
            ("1", Speed::Times(1.0)),
            ("10x", Speed::Times(10.0)),
            ("0.2", Speed::Times(0.2)),
            ("max", Speed::Max),
        ] {
            assert_eq!(text.parse(), Ok(speed));
        }
        for text in ["", "x", "0", "-1", "inf", "nan", "fast"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
