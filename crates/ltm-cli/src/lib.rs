//! The command `ltm`: runs the services on a laptop, writes, reads and follows LTMs, and plays recorded
//! histories.

mod agui;
mod args;
mod client;
mod commands;
mod dev;
mod documents;
mod error;
mod flou;
mod input;
mod json_argument;
mod operator;
mod play;
mod shell;
mod terminal;
mod text;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, builder::Resettable};

use args::{Cli, ClientCommand, Command};
use commands::{
    append, copy, create, delete, diff, errors, get, list, revoke, rollback, tail, wait,
};
use documents::{export, import};
use error::Error;
use flou::bridge;
use operator::{backup, doctor, key, restore, size, verify};
use shell::{completions, man, open};
use terminal::{Output, report};

/// Runs the command that the arguments of the process name. An error is printed on standard error.
pub fn run() -> ExitCode {
    let cli = parsed();
    let output = Output::new(cli.json);
    let outcome = match &cli.command {
        Command::Dev(args) => return dev::run(args, cli.token),
        Command::Agui(args) => return agui::run(args, cli.url, cli.token),
        Command::Doctor(args) => {
            wait_for(doctor::run(args, output)).map_err(|error| args.redis.named(error))
        }
        Command::Verify(args) => {
            wait_for(verify::run(args, output)).map_err(|error| args.redis.named(error))
        }
        Command::Backup(args) => {
            wait_for(backup::run(args, output)).map_err(|error| args.redis.named(error))
        }
        Command::Restore(args) => {
            wait_for(restore::run(args, output)).map_err(|error| args.redis.named(error))
        }
        Command::Key(args) => key::run(args, output),
        Command::Size(args) => size::run(args, output),
        Command::Open(args) => open::run(&cli.url, args, output),
        Command::Completions(args) => completions::run(Cli::command(), args, output),
        Command::Man(args) => man::run(Cli::command(), args, output),
        Command::Client(command) => ask(&cli, command, output),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    if !error.is_broken_pipe() {
        report(&error);
    }
    ExitCode::from(error.exit_code())
}

/// The arguments of the process. Wrong ones end it.
fn parsed() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        // Clap shows a variable such as LTM_URL as an option that the person wrote. Without it, the error shows only
        // what the person wrote; unless it is about the variable itself.
        let without = Cli::command().mut_args(|arg| arg.env(Resettable::Reset));
        match without.try_get_matches() {
            Err(clearer) if error.use_stderr() => clearer.exit(),
            _ => error.exit(),
        }
    })
}

fn ask(cli: &Cli, command: &ClientCommand, output: Output) -> Result<(), Error> {
    let client = client::build(cli.url.clone(), cli.token.clone())?;
    wait_for(async {
        match command {
            ClientCommand::Create(args) => create::run(&client, args, output).await,
            ClientCommand::List(args) => list::run(&client, args, output).await,
            ClientCommand::Get(args) => get::run(&client, args, output).await,
            ClientCommand::Errors(args) => errors::run(&client, args, output).await,
            ClientCommand::Append(args) => append::run(&client, args, output).await,
            ClientCommand::Rollback(args) => rollback::run(&client, args, output).await,
            ClientCommand::Diff(args) => diff::run(&client, args, output).await,
            ClientCommand::Copy(args) => copy::run(&client, args, output).await,
            ClientCommand::Delete(args) => delete::run(&client, args, output).await,
            ClientCommand::Export(args) => export::run(&client, args, output).await,
            ClientCommand::Import(args) => import::run(&client, args, output).await,
            ClientCommand::Bridge(args) => bridge::run(&client, args, output).await,
            ClientCommand::Revoke(args) => revoke::run(&client, args, output).await,
            ClientCommand::Tail(args) => tail::run(&client, args, output).await,
            ClientCommand::Top(args) => top::run(&client, args, output).await,
            ClientCommand::Wait(args) => wait::run(&client, args, output).await,
            ClientCommand::Play(args) => play::run(&client, args, output).await,
        }
    })
}

fn wait_for(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Setup)?
        .block_on(work)
}
