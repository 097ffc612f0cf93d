//! `ltm tail`: follows an LTM through the gateway.

use futures_util::StreamExt;
use ltm_client::{Change, Client, Event, Start};
use ltm_types::{Cursor, LtmRef};

use crate::{
    error::{Error, said},
    terminal::{Output, line, reader_gone},
    text::printable,
};

/// The arguments of `ltm tail`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The LTM: its id, or its class and key as app.Agent/3f2c
    #[arg(value_name = "LTM")]
    ltm: LtmRef,
    /// Begin after this cursor; 0 is the beginning
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Begin with the full state
    #[arg(long, conflicts_with = "after")]
    state: bool,
    /// Print whole lines on a terminal, too
    #[arg(long)]
    full: bool,
}

/// Prints the messages about the LTM, until it is deleted or nobody reads them any more.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    tokio::select! {
        outcome = follow(client, args, output) => outcome,
        // An LTM can be idle for hours, and then nothing is written that could fail.
        gone = reader_gone() => Err(gone),
    }
}

async fn follow(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let ltm = &args.ltm;
    let start = match args.after {
        Some(cursor) => Start::After(cursor),
        None if args.state => Start::State,
        None => Start::Now,
    };
    let mut events = client.follow(ltm, start);
    let (mut reached, mut live) = (false, false);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Message(message)) => {
                reached = true;
                if matches!(message.change, Change::Live) {
                    if !live {
                        live = true;
                        output.note(&format!("following LTM {ltm} live; press Ctrl-C to stop"));
                    }
                } else if output.json() {
                    output.json_line(message.text())?;
                } else if let Some(line) = line(&message, output) {
                    match args.full {
                        true => output.line(&line)?,
                        false => output.cut_line(&line)?,
                    }
                }
            }
            // If the first connection fails, the address is probably wrong.
            Ok(Event::Disconnected { reason, .. }) if !reached && reason.is_unreachable() => {
                return Err(reason.into());
            }
            Ok(Event::Disconnected { reason, pause }) => {
                reached = true;
                let (reason, seconds) = (disconnected(&reason), pause.as_secs_f64());
                output.note(&format!("{reason}; reconnecting in {seconds:.1} s"));
            }
            Err(ltm_client::Error::Closed { code: 4404, .. }) => {
                return Err(Error::NotFound(format!("there is no LTM {ltm}")));
            }
            Err(ltm_client::Error::Closed { code: 4410, .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::NotFound(format!("LTM {ltm} was deleted")))
}

/// Why there is no connection, for a terminal.
fn disconnected(reason: &ltm_client::Error) -> String {
    match reason {
        ltm_client::Error::Closed { code, reason } => {
            format!("disconnected: {} ({code})", printable(reason))
        }
        other => said(other),
    }
}
