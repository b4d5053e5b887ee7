//! Command line: one tree of commands, and what becomes of each.

mod arguments;
mod commands;
mod connection;
mod demo;
mod exit;
mod failure;
mod follow;
pub mod json;
mod progress;
mod screen;
mod serve;
mod show;
mod words;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

pub use exit::Exit;

use arguments::{
    CancelArgs, EventsArgs, LinkArgs, ListArgs, PreviewArgs, RemoveArgs, StatusArgs, WatchArgs,
};
use connection::ServerArgs;
use demo::DemoArgs;
use failure::Failure;
use screen::Screen;
use serve::ServeArgs;

use crate::simulator::{self, command::SimulateArgs};

/// Ends a reseller relationship in Microsoft Partner Center: shows everything that is in the way,
/// does it durably, verifies it, and keeps the record.
#[derive(Debug, Parser)]
#[command(
    name = "relationship-service",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        relationship-service serve --config /etc/relationship/config.toml\n  \
        relationship-service preview 7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11 --suspend\n  \
        relationship-service remove 7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11 --suspend \\\n      \
        --reason \"contract ended\" --wait\n  \
        relationship-service list --state blocked --json\n\n\
        Exit codes: 0 done; 1 failed; 2 wrong arguments, configuration or request; 3 blocked;\n\
        4 not found; 5 no answer now, try again; 6 ended FAILED or CANCELLED; 7 ended UNCONFIRMED;\n\
        8 something else came first (plan changed, another offboarding runs); 9 not permitted."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(ServeArgs),
    /// Run a simulated Partner Center to try things on.
    Simulate(SimulateArgs),
    /// Play the whole job on a simulated Partner Center, everything in this process.
    Demo(DemoArgs),
    /// Show what is in the way of a removal and what would be done. Changes nothing.
    Preview(Client<PreviewArgs>),
    /// Start an offboarding: clear what the policy allows, then remove the relationship.
    Remove(Client<RemoveArgs>),
    /// Show where an offboarding stands, what it waits for and what was seen.
    Status(Client<StatusArgs>),
    /// Show the log of an offboarding.
    Events(Client<EventsArgs>),
    /// Follow an offboarding until it has ended.
    Watch(Client<WatchArgs>),
    /// List offboardings, newest first.
    List(Client<ListArgs>),
    /// Stop an offboarding and put back what it changed.
    Cancel(Client<CancelArgs>),
    /// Print the link by which a customer can come back.
    Link(Client<LinkArgs>),
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  \
        relationship-service completions bash > /etc/bash_completion.d/relationship-service")]
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// A command that talks to a running service.
#[derive(Debug, clap::Args)]
struct Client<A: clap::Args> {
    #[command(flatten)]
    arguments: A,
    #[command(flatten)]
    server: ServerArgs,
    /// Print JSON with the field names of the API instead of text.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Reads the command line; prints help or what is wrong with it, and ends the process then.
    pub fn read() -> Self {
        Self::parse()
    }
}

/// Does what the arguments say.
pub async fn run(arguments: Arguments) -> Exit {
    let screen = Screen::new(arguments.command.json());
    match dispatch(arguments.command, screen).await {
        Ok(exit) => exit,
        Err(failure) => {
            failure.tell(screen);
            failure.exit()
        }
    }
}

impl Command {
    fn json(&self) -> bool {
        match self {
            Self::Preview(client) => client.json,
            Self::Remove(client) => client.json,
            Self::Status(client) => client.json,
            Self::Events(client) => client.json,
            Self::Watch(client) => client.json,
            Self::List(client) => client.json,
            Self::Cancel(client) => client.json,
            Self::Link(client) => client.json,
            Self::Serve(_) | Self::Simulate(_) | Self::Demo(_) | Self::Completions { .. } => false,
        }
    }
}

async fn dispatch(command: Command, screen: Screen) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::run(&args).await,
        Command::Simulate(args) => {
            simulator::command::run(args)
                .await
                .map_err(|error| Failure::Other(with_causes(&error)))?;
            Ok(Exit::Ok)
        }
        Command::Demo(args) => demo::run(&args, screen).await,
        Command::Preview(client) => {
            let service = client.server.connect().await?;
            commands::preview(service, client.arguments, screen).await
        }
        Command::Remove(client) => {
            let service = client.server.connect().await?;
            commands::remove(service, client.arguments, screen).await
        }
        Command::Status(client) => {
            let service = client.server.connect().await?;
            commands::status(service, client.arguments, screen).await
        }
        Command::Events(client) => {
            let service = client.server.connect().await?;
            commands::events(service, client.arguments, screen).await
        }
        Command::Watch(client) => {
            let service = client.server.connect().await?;
            commands::watch(service, client.arguments, screen).await
        }
        Command::List(client) => {
            let service = client.server.connect().await?;
            commands::list(service, client.arguments, screen).await
        }
        Command::Cancel(client) => {
            let service = client.server.connect().await?;
            commands::cancel(service, client.arguments, screen).await
        }
        Command::Link(client) => {
            let service = client.server.connect().await?;
            commands::link(service, client.arguments, screen).await
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = Arguments::command();
            let name = command.get_name().to_owned();
            clap_complete::generate(shell, &mut command, name, &mut script);
            screen.print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Ok)
        }
    }
}

/// An error and everything that led to it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_holds_together() {
        Arguments::command().debug_assert();
    }
}
