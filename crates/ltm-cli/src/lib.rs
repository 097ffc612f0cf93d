//! The command `ltm`: runs the services on a laptop, writes, reads and follows LTMs, and plays recorded
//! histories.

mod append;
pub mod args;
mod bridge;
mod copy;
mod create;
mod delete;
mod dev;
mod diff;
mod doctor;
mod error;
mod get;
mod history;
mod holding;
mod import;
mod input;
mod json;
mod key;
mod list;
mod message;
mod output;
mod plan;
mod play;
mod recording;
pub mod redis_server;
mod rollback;
mod tail;
mod verify;

use std::process::ExitCode;

use args::{Cli, ClientCommand, Command};
use ltm_client::{Client, ServerUrl, Token};
use output::Output;

pub use error::Error;
pub use json::JsonArgument;

/// Does what the arguments say; what goes wrong is printed on standard error.
pub fn run(cli: &Cli) -> ExitCode {
    match &cli.command {
        Command::Dev(args) => dev::run(args),
        Command::Doctor(args) => end(wait_for(doctor::run(args, Output::new(cli.json)))),
        Command::Verify(args) => end(wait_for(verify::run(args, Output::new(cli.json)))),
        Command::Key(args) => end(key::run(args, Output::new(cli.json))),
        Command::Client(command) => end(ask(cli, command)),
    }
}

/// What is left to say when a command has ended.
fn end(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_broken_pipe() {
                output::report(&error);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn ask(cli: &Cli, command: &ClientCommand) -> Result<(), Error> {
    let output = Output::new(cli.json);
    let client = client_of(cli.url.clone(), cli.token.clone())?;
    wait_for(async {
        match command {
            ClientCommand::Create(args) => create::run(&client, args, output).await,
            ClientCommand::List(args) => list::run(&client, args, output).await,
            ClientCommand::Get(args) => get::run(&client, args, output).await,
            ClientCommand::Append(args) => append::run(&client, args, output).await,
            ClientCommand::Rollback(args) => rollback::run(&client, args, output).await,
            ClientCommand::Diff(args) => diff::run(&client, args, output).await,
            ClientCommand::Copy(args) => copy::run(&client, args, output).await,
            ClientCommand::Delete(args) => delete::run(&client, args, output).await,
            ClientCommand::Import(args) => import::run(&client, args, output).await,
            ClientCommand::Bridge(args) => bridge::run(&client, args, output).await,
            ClientCommand::Tail(args) => tail::run(&client, args, output).await,
            ClientCommand::Play(args) => play::run(&client, args, output).await,
        }
    })
}

/// Speaks to the services at `server`, and shows a token if there is one.
fn client_of(server: ServerUrl, token: Option<Token>) -> Result<Client, Error> {
    let mut client = Client::builder(server).agent(concat!("ltm/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = token {
        client = client.token(token);
    }
    Ok(client.build()?)
}

fn wait_for(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Setup)?
        .block_on(work)
}
