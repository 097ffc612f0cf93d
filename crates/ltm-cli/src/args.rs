//! The arguments of the command line.

use clap::{Parser, Subcommand};
use ltm_client::{ServerUrl, Token};

use crate::{
    agui,
    commands::{
        append, copy, create, delete, diff, errors, get, list, revoke, rollback, tail, wait,
    },
    dev,
    documents::{export, import},
    flou::bridge,
    operator::{backup, doctor, key, restore, size, verify},
    play,
    shell::{completions, man, open},
    top,
};

/// The heading of the options that every command has.
const GLOBAL: &str = "Global options";

const EXAMPLES: &str = "\
Examples:
  ltm dev                                      run everything on this machine
  ltm create app.Agent --state '{\"n\": 0}'      create an LTM; prints its id
  ltm append 1 --merge '{\"n\": 1}'              append a snapshot
  ltm tail 1 --after 0                         follow it from the beginning
  ltm --json get 1 | jq .state                 read it in a script
  ltm play history.json --speed 10             play a recorded history into a new LTM

Exit codes:
  0    success
  1    the command found faults, or failed for another reason
  2    the arguments, the input or the settings cannot be used
  3    there is no such LTM, or it was deleted
  4    the services reject the request: the message says why
  5    conflict: the LTM has changed meanwhile, or another producer has taken over
  6    the services or Redis cannot be reached, or are overloaded: try again later
  124  the time of --timeout is over
  141  the reader of the output has gone, as in `| head`";

/// Write, read and follow LTMs: long-running state machines with a history of snapshots.
#[derive(Debug, Parser)]
#[command(name = "ltm", version = ltm_service::VERSION, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The URL of the API and the gateway
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "URL",
        env = "LTM_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8000"
    )]
    pub(crate) url: ServerUrl,
    /// A JWT or an API key, if the services require one
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        env = "LTM_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<Token>,
    /// Print JSON, one object per line
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API and the gateway on this machine, with a Redis server of their own
    #[command(after_help = "\
Examples:
  ltm dev
  ltm dev --listen 127.0.0.1:9000 --data-dir ./data
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm dev     use a running Redis

Without LTM__REDIS__URL, `redis-server` or `valkey-server` must be on the PATH. Press Ctrl-C to stop; the data stays.
All settings of the services apply: see `ltm-api --print-config` and `ltm-gateway --print-config`.")]
    Dev(dev::Args),
    /// Record AG-UI agents: a proxy between pages and an agent, so that any page can resume a run
    #[command(after_help = "\
Examples:
  ltm agui --upstream http://127.0.0.1:8123/agui                  records every agent id
  ltm agui --upstream app.Agent=http://agent:8123/agui --listen 0.0.0.0:8010
  LTM_URL=https://ltm.example LTM_TOKEN=ltm_... ltm agui --upstream http://agent:8123

In the page, only the URL of the agent changes: http://127.0.0.1:8010/agui/app.Agent, or as the `runtimeUrl` of CopilotKit
http://127.0.0.1:8010/agui. `ltm agui` is the recorder: it writes each run to the LTM whose class is the id of the agent
and whose key is the id of the thread (docs/guide-agui-record.md). Press Ctrl-C to stop.")]
    Agui(agui::Args),
    /// Verify the logs of LTMs directly in Redis
    #[command(after_help = "\
Examples:
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm verify 1
  ltm verify --redis redis://127.0.0.1:6379/0 --all

Every entry must continue the one before it, every patch must apply to the state before it, and
checkpoints and counters must agree with the log. The command prints every fault; if there is one,
the exit code is 1.")]
    Verify(verify::Args),
    /// Write LTMs to a file, directly from Redis
    #[command(after_help = "\
Examples:
  ltm backup monday.ltm.zst                    everything in Redis
  ltm backup agents.ltm.zst --fqn 'app.*'      the LTMs of these classes
  ltm backup two.ltm.zst 42 app.Agent/3f2c     these LTMs
  zstd -dc monday.ltm.zst | head -n 3 | jq     look into it

The services keep running. Each LTM is in the file as it was at one moment; an LTM that is created meanwhile may be
missing. If the command is interrupted, start it again: it continues where it stopped.")]
    Backup(backup::Args),
    /// Restore LTMs from a file of `ltm backup`, directly into Redis
    #[command(after_help = "\
Examples:
  ltm restore monday.ltm.zst
  ltm restore monday.ltm.zst 42                only this LTM
  ltm restore monday.ltm.zst --redis redis://127.0.0.1:6379/1

Restored LTMs have their ids, keys and cursors, so subscribers go on where they were. The command never changes an LTM
that is there. If it is interrupted, start it again: it continues where it stopped. Start the services afterwards, or
engines may create LTMs anew that are still to be restored.")]
    Restore(restore::Args),
    /// Make an API key, for services that require authentication
    #[command(after_help = "\
Examples:
  ltm key engine-1 --ltm 'app.*' --can write      for an engine that runs LTMs of these classes
  ltm key dashboard --ltm '*' --can read

Give the key to the client: LTM_TOKEN=ltm_... ltm list. Append the entry to the file that the setting
auth.api_keys_file names. The file holds only a hash of the key; the services read it again when it changes.")]
    Key(key::Args),
    /// Compute the machines that a load needs, with the arithmetic
    #[command(after_help = "\
Examples:
  ltm size --subscribers 1e6 --ltms 2e5 --appends 2e4
  ltm size --subscribers 1e4 --ltms 1 --appends 50 --cores 4

The command computes from constants that were measured (docs/performance.md). It connects to
nothing. The memory of Redis counts the logs of all LTMs, so pass --stored and --entries.")]
    Size(size::Args),
    /// Check the setup of Redis, and say what to change
    #[command(after_help = "\
Examples:
  LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm doctor
  ltm doctor --redis redis://127.0.0.1:6379/0 --wait-replicas 1 --json
  ltm doctor --config ltm.toml --api-user ltm-api --gateway-user ltm-gateway

The command runs the readiness checks of the services and further checks: users, round trips, memory,
persistence, replicas, clocks, and keys that do not belong together. It reads the settings of the services:
LTM__REDIS__SENTINELS, LTM__REDIS__CLUSTER_NODES, LTM__REDIS__TLS_CA_FILE. If Redis cannot keep a promise
of ltm-live, the exit code is 1; a warning leaves it 0.")]
    Doctor(doctor::Args),
    /// Open the inspector in the browser
    #[command(after_help = "\
Examples:
  ltm open                    the list
  ltm open 1                  one LTM
  ltm open 1 --print          only print the address")]
    Open(open::Args),
    /// Print a script that completes the commands in a shell
    #[command(after_help = "\
Examples:
  source <(ltm completions bash)
  ltm completions zsh > ~/.zfunc/_ltm
  ltm completions fish > ~/.config/fish/completions/ltm.fish")]
    Completions(completions::Args),
    /// Write the manual pages
    #[command(after_help = "\
Examples:
  ltm man ~/.local/share/man/man1 && man ltm-append")]
    Man(man::Args),
    /// The commands that call the services.
    #[command(flatten)]
    Client(ClientCommand),
}

/// The commands that call the services.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Create an LTM
    #[command(after_help = "\
Examples:
  ltm create app.Agent
  ltm create app.Agent --key 3f2c        gets the LTM with this key, or creates it
  ltm create app.Agent --name 'My agent' --state '{\"todo\": [\"plan\"]}'
  ltm create app.Agent --state state.json --structure structure.json --playground

A JSON value can also be the name of a file that holds JSON.")]
    Create(create::Args),
    /// List LTMs, newest first
    #[command(after_help = "\
Examples:
  ltm list --limit 5
  ltm list --status error,active --fqn 'app.*'
  ltm list --name 'harb li' --created-after 2026-01-31T12:00:00Z
  ltm list --has-errors --watch                 press Ctrl-C to end it
  ltm --json list --all | jq -r .name")]
    List(list::Args),
    /// Show an LTM: its state and its latest snapshots
    #[command(after_help = "\
Examples:
  ltm get 1
  ltm --json get 1 | jq .state      the state from the whole document
  ltm get 1 --at 5                  the state after snapshot 5
  ltm get 1 --at 5 --rollback 0     the same in the history that the first rollback took out")]
    Get(get::Args),
    /// Show the errors that an LTM has recorded
    #[command(after_help = "\
Examples:
  ltm errors 1
  ltm --json errors 1 | jq -r '.retries[-1].description'")]
    Errors(errors::Args),
    /// Append snapshots to an LTM
    #[command(after_help = "\
Examples:
  ltm append 1 --merge '{\"mood\": \"sleepy\"}'
  ltm append 1 --patch '[{\"op\": \"remove\", \"path\": \"/todo/0\"}]' --reason transition
  ltm append 1 steps.jsonl
  engine | ltm append 1 -

A file or the standard input holds snapshots as JSON objects, one after the other, on one line or on several:
{\"reason\": \"execute\", \"patch\": [...]}. In place of `patch` it can have the whole new `state` or a `merge`
patch.

Each snapshot lands once: the command sends it with an Idempotency-Key, and retries after a lost connection or
a 503.")]
    Append(append::Args),
    /// Roll an LTM back to an earlier snapshot, or undo a rollback
    #[command(after_help = "\
Examples:
  ltm rollback 1 --to 5       snapshot 5 becomes the last one
  ltm rollback 1 --replay 5   back to before snapshot 5, for an engine that takes it again
  ltm rollback 1 --undo 0     undo the first rollback; `ltm get 1 --rollbacks` lists them

A rollback deletes nothing: the log keeps the snapshots that it takes out, and can bring them back.")]
    Rollback(rollback::Args),
    /// Print the JSON Patch from one snapshot of an LTM to another
    #[command(after_help = "\
Examples:
  ltm diff 1 3 7              what snapshots 4 to 7 changed
  ltm diff 1 7 3              the patch that undoes them
  ltm --json diff 1 3 7 | jq length")]
    Diff(diff::Args),
    /// Copy an LTM to the playground, with its history
    Copy(copy::Args),
    /// Delete an LTM permanently
    #[command(after_help = "\
Examples:
  ltm delete 1                shows what it would delete
  ltm delete 1 --yes          deletes it

Its subscribers get a message. Its id is never used again.")]
    Delete(delete::Args),
    /// Follow an LTM: print each snapshot as it is appended
    #[command(after_help = "\
Examples:
  ltm tail 1                  from now on
  ltm tail 1 --after 0        from the beginning
  ltm tail 1 --state          the state first
  ltm tail 1 --full           whole lines; otherwise lines end at the edge of the terminal
  ltm --json tail 1 | jq -c .snapshot.patch

After a disconnect the command reconnects and resumes from its cursor; no message is lost or repeated.
Press Ctrl-C to stop.")]
    Tail(tail::Args),
    /// Revoke a JWT, all JWTs of a subject, or an API key; without one, list the revoked credentials
    #[command(after_help = "\
Examples:
  ltm revoke --api-key engine-1
  ltm revoke --sub alice --until 1798761600
  ltm revoke --sub alice --lift
  ltm revoke                  lists the revoked credentials

Within two seconds, calls with the credential get 401, and the sockets and streams that it opened end, at every
gateway. The command needs a token with `admin` for all LTMs.")]
    Revoke(revoke::Args),
    /// Watch the services: LTMs by status, rates, lag, slow subscribers
    #[command(after_help = "\
Examples:
  ltm top                               press Ctrl-C to end it
  ltm top --metrics http://10.0.0.5:8000 --metrics http://10.0.0.6:8001
  ltm top | cat                         one table of the next two seconds
  ltm --json top | jq '.services[].subscribers'

Rates and lags are those between two looks. `slow` counts how often a subscriber fell behind,
`resets` how often one got the whole state anew, since the service started; in brackets, since the
look before. Proxies do not forward the metrics: behind one, name each API and gateway with
--metrics.")]
    Top(top::Args),
    /// Wait until an LTM has a status
    #[command(after_help = "\
Examples:
  ltm wait 1 --status finished,error                   prints the status that it has
  ltm wait 1 --status finished --timeout 5m && ./next
  ltm wait 1 --after 7-3f0c8a51d2e94b67                until something happens

Exit codes: 0 if the LTM is there, 124 if the time is over, 3 if it cannot get there because it is deleted or
unknown. The command waits on while the services are not reachable.")]
    Wait(wait::Args),
    /// Export LTMs: their documents, one on a line, as `ltm import` reads them
    #[command(after_help = "\
Examples:
  ltm export 42 app.Agent/3f2c > two.jsonl
  ltm export --fqn 'app.*' --status finished --file agents.jsonl
  ltm export | zstd > all.jsonl.zst
  ltm export 42 | ltm --url https://other.example import -

Each document has the state, the history, all rollbacks and the errors. Without an LTM, the command
exports those that the options choose. It reads one document at a time, so one may be newer than
another. `ltm backup` also keeps cursors, but needs access to Redis.")]
    Export(export::Args),
    /// Import LTMs from documents: of `ltm export`, or as Flou's GET /ltm/{id}?rollbacks=true returns them
    #[command(after_help = "\
Examples:
  ltm import agents.jsonl                 a file of `ltm export`
  curl 'http://flou:8000/api/v0/ltm/42?rollbacks=true' > 42.json
  ltm import 42.json --id 42
  ltm import recordings/*.json            recordings, which name the id
  ltm import all.jsonl                    many documents, each with an `id`

Ids, times, history, rollbacks and errors are kept. If an import is interrupted, start it again: it continues
where it stopped. It never changes an LTM that does not come from the document.")]
    Import(import::Args),
    /// Follow a running Flou through its Redis, and write its LTMs here
    #[command(after_help = "\
Examples:
  ltm bridge --from redis://flou-redis:6379/0 --flou-api http://flou:8000
  ltm bridge --from redis://flou-redis:6379/0

The bridge listens to the channels ltm:* of Flou's Redis, so that clients can follow LTMs of an unchanged
engine here, under the same ids. With --flou-api it asks Flou for what Flou does not publish: names, LTMs that
began earlier, and which rollback was undone. Press Ctrl-C to stop; the bridge then reports what it wrote,
what it could not write, and why.")]
    Bridge(bridge::Args),
    /// Play a recorded history into a new LTM
    #[command(after_help = "\
Examples:
  ltm play history.json                  at the recorded speed
  ltm play history.json --speed 10x      ten times as fast
  ltm --json get 1 > history.json        record a history

The command prints the id of the new LTM first, so that you can follow it while the history is played.")]
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
        for line in ["ltm append 1", "ltm revoke --lift", "ltm revoke --until 5"] {
            assert_eq!(
                refused(line),
                Some(ErrorKind::MissingRequiredArgument),
                "{line}"
            );
        }
        for line in [
            "ltm append 1 --merge {} --state {}",
            "ltm append 1 - --patch []",
            "ltm append 1 - --reason execute",
            "ltm tail 1 --after 0 --state",
            "ltm list --limit 3 --all",
            "ltm rollback 1 --to 3 --undo 0",
            "ltm get 1 --at 3 --rollbacks",
            "ltm revoke --sub a --jti b",
            "ltm revoke --sub a --until 5 --lift",
        ] {
            assert_eq!(refused(line), Some(ErrorKind::ArgumentConflict), "{line}");
        }
    }

    #[test]
    fn wrong_values_are_refused_before_anything_is_sent() {
        for line in [
            "ltm get 0",
            "ltm tail 1 --after soon",
            "ltm wait 1 --status a --timeout soon",
            "ltm create app.Agent --state {broken",
            "ltm --url ftp://localhost list",
            "ltm play f --speed 0",
            "ltm list --limit 0",
        ] {
            assert_eq!(refused(line), Some(ErrorKind::ValueValidation), "{line}");
        }
    }
}
