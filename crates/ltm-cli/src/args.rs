//! The arguments of the command line.

use clap::{Parser, Subcommand};
use ltm_client::{ServerUrl, Token};

use crate::{
    commands::{append, copy, create, delete, diff, get, list, rollback, tail},
    dev,
    flou::{bridge, import},
    operator::{doctor, key, verify},
    play,
};

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
pub(crate) struct Cli {
    /// Where the API and the gateway are
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "LTM_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8000"
    )]
    pub(crate) url: ServerUrl,
    /// Who calls, where the services ask: a JWT or an API key
    #[arg(long, global = true, env = "LTM_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<Token>,
    /// Print JSON, one object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API and the gateway on this machine, with a Redis of their own
    #[command(after_help = "\
Examples:
  ltm dev
  ltm dev --listen 127.0.0.1:9000 --data-dir ./data
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm dev     use a Redis that runs

Needs `redis-server` on the PATH where LTM__REDIS__URL is not set. Ctrl-C ends it; what was written stays.
Every other setting of the services applies, too: `ltm-api --print-config`, `ltm-gateway --print-config`.")]
    Dev(dev::Args),
    /// Prove the logs of LTMs: read in Redis itself, with no service in between
    #[command(after_help = "\
Examples:
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm verify 1
  ltm verify --redis redis://127.0.0.1:6379/0 --all

Every entry must continue the one before it, every patch must apply to the state before it, and
checkpoints and counters must say what the log says. What is wrong is printed; the exit code is 1 then.")]
    Verify(verify::Args),
    /// Make an API key, for services that ask who calls
    #[command(after_help = "\
Examples:
  ltm key engine-1 --ltm 'app.*' --can write      for an engine that runs LTMs of these classes
  ltm key dashboard --ltm '*' --can read

The key goes to whoever calls: LTM_TOKEN=ltm_... ltm list. The rest goes into the file that auth.api_keys_file
names: it holds only a hash of the key, and is read again when it changes.")]
    Key(key::Args),
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
    Doctor(doctor::Args),
    /// Ask services that run.
    #[command(flatten)]
    Client(ClientCommand),
}

/// What to do with LTMs of services that run.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Create an LTM
    #[command(after_help = "\
Examples:
  ltm create app.Agent
  ltm create app.Agent --name 'My agent' --state '{\"todo\": [\"plan\"]}'
  ltm create app.Agent --state state.json --structure structure.json --playground

Where a value is JSON, the name of a file that holds JSON works too.")]
    Create(create::Args),
    /// List LTMs, newest first
    #[command(after_help = "\
Examples:
  ltm list --limit 5
  ltm --json list --all | jq -r .name")]
    List(list::Args),
    /// Show an LTM: its state and its latest snapshots
    #[command(after_help = "\
Examples:
  ltm get 1
  ltm --json get 1 | jq .state      the whole document
  ltm get 1 --at 5                  the state after snapshot 5
  ltm get 1 --at 5 --rollback 0     the same in the history that the first rollback took out")]
    Get(get::Args),
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
    Append(append::Args),
    /// Go back in an LTM's history
    #[command(after_help = "\
Examples:
  ltm rollback 1 --to 5       snapshot 5 is the last again
  ltm rollback 1 --replay 5   back to before snapshot 5, for an engine that takes it again
  ltm rollback 1 --undo 0     take back the first rollback: ltm get 1 --rollbacks

Nothing is lost: what it takes out of the history is kept, too, and can be brought back.")]
    Rollback(rollback::Args),
    /// Print the patch that leads from one snapshot of an LTM to another
    #[command(after_help = "\
Examples:
  ltm diff 1 3 7              what snapshots 4 to 7 changed in all
  ltm diff 1 7 3              what takes it back
  ltm --json diff 1 3 7 | jq length")]
    Diff(diff::Args),
    /// Copy an LTM to the playground, with its history
    Copy(copy::Args),
    /// Delete an LTM for ever
    #[command(after_help = "\
Examples:
  ltm delete 1                says what would be deleted
  ltm delete 1 --yes          deletes it

Its subscribers are told. Its id is never given again.")]
    Delete(delete::Args),
    /// Follow an LTM: print each snapshot as it is taken
    #[command(after_help = "\
Examples:
  ltm tail 1                  what comes from now on
  ltm tail 1 --after 0        everything
  ltm tail 1 --state          the state first
  ltm --json tail 1 | jq -c .snapshot.patch

After a disconnect it connects again and goes on where it was, without a gap or a double. Ctrl-C ends it.")]
    Tail(tail::Args),
    /// Import LTMs from Flou: documents as its GET /ltm/{id}?rollbacks=true gives them
    #[command(after_help = "\
Examples:
  curl 'http://flou:8000/api/v0/ltm/42?rollbacks=true' > 42.json
  ltm import 42.json --id 42
  ltm import recordings/*.json            files that say the id, too
  ltm import all.jsonl                    many documents, each with an `id`

History, rollbacks and errors are written as they were, with their times; the id is kept. An import that
was broken off goes on where it was when it is started again; what is there already is left alone.")]
    Import(import::Args),
    /// Follow what a running Flou publishes in its Redis, and write it
    #[command(after_help = "\
Examples:
  ltm bridge --from redis://flou-redis:6379/0 --flou-api http://flou:8000
  ltm bridge --from redis://flou-redis:6379/0

It listens to the channels ltm:*, so that LTMs of an engine that is not changed can be followed here; ids are kept.
With --flou-api it asks Flou for what is not published: names, LTMs that began before, and which rollback was
undone. Ctrl-C ends it; then it says what it wrote, and what it could not place and why.")]
    Bridge(bridge::Args),
    /// Play a recorded history into a new LTM
    #[command(after_help = "\
Examples:
  ltm play history.json                  as fast as it was
  ltm play history.json --speed 10x      ten times as fast
  ltm --json get 1 > history.json        record one

The id of the new LTM is printed first, so that it can be followed while the history is played.")]
    Play(play::Args),
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
}
