//! The command line. `serve` runs the server, `check` reads the files that `serve` would read, `publish` sends one message
//! to a running server, `upgrade` has a running server replaced by a new process, and `doctor` examines the machine. `serve`
//! and `check` read settings and routes by `startup`, which combines files and options. A running server reads them again
//! by `reload`, and writes its log by `log`.

mod check;
mod doctor;
mod log;
mod publish;
mod reload;
mod serve;
mod startup;
mod upgrade;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Realtime edge server: holds long polls, HTTP streams, Server-Sent Events and WebSockets for ordinary web applications.
#[derive(Parser)]
#[command(name = "gripwire", version, long_about = ABOUT, after_long_help = EXAMPLES)]
#[command(disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until SIGINT or SIGTERM.
    Serve(serve::Serve),
    /// Read the configuration and the routes, and report mistakes.
    Check(check::Check),
    /// Publish one message to a running server.
    Publish(publish::Publish),
    /// Replace a running server by a new process, without losing clients.
    Upgrade(upgrade::Upgrade),
    /// Examine this machine and say what to change for a number of connections.
    Doctor(doctor::Doctor),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server did not start, or it failed.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    /// Nothing was published.
    #[error(transparent)]
    Publish(#[from] publish::PublishError),
    /// No upgrade took place.
    #[error(transparent)]
    Upgrade(#[from] upgrade::UpgradeCallError),
    /// The machine or the settings cannot be read.
    #[error(transparent)]
    Doctor(#[from] doctor::DoctorError),
}

/// Runs the command that the process's arguments name.
///
/// # Errors
/// Why the command failed. `check`, and `doctor` with problems, fail by their exit code instead.
pub fn run() -> Result<ExitCode, Error> {
    match CommandLine::parse().command {
        Command::Serve(serve) => serve.run().map_err(Error::from),
        Command::Check(check) => Ok(check.run()),
        Command::Publish(publish) => publish.run().map_err(Error::from),
        Command::Upgrade(upgrade) => upgrade.run().map_err(Error::from),
        Command::Doctor(doctor) => doctor.run().map_err(Error::from),
    }
}

const ABOUT: &str = "\
Gripwire stands in front of ordinary web applications. It holds their clients' long polls, HTTP streams, \
Server-Sent Events and WebSockets open and, when the application publishes, writes the message to every subscriber (the GRIP \
protocol). It reads Pushpin's configuration and routes as they are.";

const EXAMPLES: &str = "\
Examples:
  Try it, with the application that is built in:
    gripwire serve --demo

  In front of an application on port 8000:
    gripwire serve --route '* localhost:8000'

  With a configuration file, checked first:
    gripwire check --config gripwire.toml && gripwire serve --config gripwire.toml

  In Pushpin's place:
    gripwire serve --pushpin-conf /etc/pushpin/pushpin.conf

  Say what to change on this machine for a million connections:
    gripwire doctor --connections 1000000

  Send a message to everyone who is subscribed to the channel `news`:
    gripwire publish news 'hello there'";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn two_configurations_are_one_too_many() {
        let both = ["gripwire", "serve", "--config", "a", "--pushpin-conf", "b"];
        assert!(CommandLine::try_parse_from(both).is_err());
    }
}
