//! `ltm agui`: records AG-UI agents.

use std::process::ExitCode;

use ltm_agui::{AguiSettings, Settings};
use ltm_client::{ServerUrl, Token};
use ltm_service::Arguments;

/// The arguments of `ltm agui`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    agents: Agents,
    #[command(flatten)]
    service: Arguments,
}

/// Which agents are recorded, and where. `ltm dev` has the same with a prefix.
#[derive(clap::Args, Debug)]
struct Agents {
    /// The agent to record: its URL, or ID=URL for one of several agents. The id is the class of its LTMs
    #[arg(long, value_name = "[ID=]URL")]
    upstream: Vec<String>,
    /// The address to listen on [default: 127.0.0.1:8010]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Records agents until a signal.
pub(crate) fn run(args: &Args, server: ServerUrl, token: Option<Token>) -> ExitCode {
    let Agents { upstream, listen } = &args.agents;
    ltm_service::run_with(
        &args.service,
        |settings: &mut Settings| apply(&mut settings.agui, upstream, listen.as_deref()),
        |settings, tasks| ltm_agui::serve(settings, server, token, tasks),
    )
}

/// Adds arguments to the settings.
pub(crate) fn apply(settings: &mut AguiSettings, upstreams: &[String], listen: Option<&str>) {
    settings.upstreams.extend_from_slice(upstreams);
    if let Some(listen) = listen {
        settings.listen = listen.into();
    }
}
