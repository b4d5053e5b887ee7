//! Demo: the whole job on one customer, against a simulated Partner Center, everything in this process.
//!
//! `stage` starts the simulator and the real service, `play` is the play, `checks` keeps what had to be
//! seen and was, `invitation` prints lines to try by hand.

mod checks;
mod invitation;
mod play;
mod stage;

use std::net::SocketAddr;

use super::exit::Exit;
use super::failure::Failure;
use super::screen::Screen;
use super::serve;
use crate::telemetry::{self, LogFormat};
use stage::Stage;

/// `demo`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Needs nothing: no account, no network, no configuration. Everything runs in this process, on\n\
    loopback, and is gone when it ends.\n\n\
    Examples:\n  \
    relationship-service demo\n  \
    relationship-service demo --once"
)]
pub(crate) struct DemoArgs {
    /// End after the play; exit code 0 only when everything was seen that had to be.
    #[arg(long)]
    once: bool,
    /// Loopback address to serve gRPC on [default: 127.0.0.1:50051; with --once a free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Plays, then stays up until it is interrupted, or ends.
pub(crate) async fn run(args: &DemoArgs, screen: Screen) -> Result<Exit, Failure> {
    telemetry::start(LogFormat::Human, "error")
        .map_err(|error| Failure::Other(error.to_string()))?;
    let listen = args.listen.unwrap_or_else(|| {
        let port = if args.once { 0 } else { 50_051 };
        SocketAddr::from(([127, 0, 0, 1], port))
    });
    if !listen.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "--listen {listen}: the demo serves this machine only, e.g. 127.0.0.1:50051"
        )));
    }
    let interrupted = serve::stop_signal()?;
    let stage = Stage::build(listen).await?;
    let exit = tokio::select! {
        played = play::play(&stage, screen) => played?,
        () = interrupted.cancelled() => {
            stage.strike().await?;
            return Ok(Exit::Failure);
        }
    };
    if !args.once {
        screen.print(&invitation::text(&stage, screen))?;
        interrupted.cancelled().await;
    }
    stage.strike().await?;
    Ok(exit)
}
