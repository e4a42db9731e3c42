//! Measures Gripwire against the kernel: `cargo run --release -p gripwire-bench -- fanout` and so on.
//!
//! The server under test runs on one CPU, the clients on the other. What a server costs is read from the scheduler's
//! own account of its threads, so that a busy machine makes a run slower but hardly changes its ratios. The floor is
//! a loop of send(2) over the same number of sockets, drained by the same client program in the same run.

mod drain;
mod floor;
mod process;
mod scenarios;
mod transport;

use clap::{Parser, Subcommand};
use transport::Transport;

#[derive(Parser)]
#[command(about = "Measures Gripwire against the kernel floor", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// User memory of held connections, per connection
    Memory {
        /// Connections to hold
        #[arg(long, default_value_t = 15_000)]
        connections: usize,
        /// How clients subscribe
        #[arg(long, value_enum, default_value = "stream")]
        transport: Transport,
    },
    /// CPU per delivery: single messages, against a send(2) loop to as many sockets
    Fanout {
        /// Subscribers of the channel
        #[arg(long, default_value_t = 15_000)]
        connections: usize,
        /// Messages published back to back in each round
        #[arg(long, default_value_t = 1)]
        messages: usize,
        /// Rounds; the medians are reported
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// Bytes of a message's content
        #[arg(long, default_value_t = 100)]
        bytes: usize,
        /// How clients subscribe
        #[arg(long, value_enum, default_value = "stream")]
        transport: Transport,
    },
    /// New connections a second, accepted, answered by the built-in origin and held
    Connect {
        /// Connections to open
        #[arg(long, default_value_t = 15_000)]
        connections: usize,
        /// Connections being opened at a time
        #[arg(long, default_value_t = 256)]
        window: usize,
        /// Rounds; the median is reported
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How clients subscribe
        #[arg(long, value_enum, default_value = "stream")]
        transport: Transport,
    },
    /// The client program: opens connections and throws away what arrives (started by the others)
    #[command(hide = true)]
    Drain(drain::Settings),
    /// The kernel floor: accepts connections and sends to all of them in a loop (started by the others)
    #[command(hide = true)]
    Floor,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Memory { connections, transport } => scenarios::memory(connections, transport),
        Command::Fanout { connections, messages, rounds, bytes, transport } => {
            scenarios::fanout(connections, messages, rounds, bytes, transport)
        }
        Command::Connect { connections, window, rounds, transport } => {
            scenarios::connect(connections, window, rounds, transport)
        }
        Command::Drain(settings) => drain::run(&settings),
        Command::Floor => floor::run(),
    }
}
