//! Measures Gripwire. `bench/compare` runs Gripwire, the kernel floor, nchan and Pushpin under equal load and prints a table.
//! `udp` measures publishing by datagrams, `tls` streams by TLS, `silent` clients that time out together, `upgrade` clients
//! during upgrades and a restart, and `channels-memory` memory that is given back. `cargo bench -p gripwire-bench` measures parts without a server.
//!
//! `servers` starts servers; `compare` puts load on them and computes the figures. Servers run on one CPU, clients on
//! another. A server's CPU time is read from the scheduler's counters of its threads, so other load on the machine makes a
//! run slower but hardly changes ratios.

mod channels_memory;
mod compare;
mod innocent;
mod markdown;
mod process;
mod servers;
mod silent;
mod tls;
mod udp;
mod upgrade;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Measures Gripwire beside the kernel floor and other servers", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the same load on every server in turn, or on two builds of Gripwire, and prints tables of medians
    Compare(compare::Settings),
    /// Measures memory and CPU of streams by TLS and of plaintext streams
    Tls(tls::Settings),
    /// Measures the CPU per datagram of one UDP sender at full speed, against recvmmsg(2) loops
    Udp(udp::Settings),
    /// Measures the memory that remains after a million channels are no longer used
    ChannelsMemory(channels_memory::Settings),
    /// Measures how long a client waits for an answer while thousands of silent clients time out together
    Silent(silent::Settings),
    /// Measures how long clients hear nothing during upgrades, and during a restart with a drain
    Upgrade(upgrade::Settings),
    /// Clients that connect and stay silent (started by `silent`)
    #[command(hide = true)]
    SilentClients {
        /// The server's address
        #[arg(long)]
        address: std::net::SocketAddrV4,
        /// Number of clients
        #[arg(long)]
        count: u32,
        /// Whether they send half of a head
        #[arg(long, action = clap::ArgAction::Set)]
        begun: bool,
    },
    /// The kernel floor: accepts connections and sends to all of them in a loop (started by `compare`)
    #[command(hide = true)]
    Floor,
    /// The kernel floor for datagrams: receives them in a loop (started by `udp`)
    #[command(hide = true)]
    UdpFloor {
        /// Pause between reads, us
        #[arg(long)]
        gather_us: u64,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(WORSE),
        Err(error) => {
            eprintln!("gripwire-bench: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Executes a command. Returns whether one build was found worse than another.
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Compare(settings) => return compare::run(&settings),
        Command::Tls(settings) => tls::run(&settings),
        Command::Udp(settings) => udp::run(&settings),
        Command::ChannelsMemory(settings) => channels_memory::run(&settings),
        Command::Silent(settings) => silent::run(&settings),
        Command::Upgrade(settings) => upgrade::run(&settings),
        Command::SilentClients { address, count, begun } => silent::clients(address, count, begun),
        Command::Floor => servers::run_floor(),
        Command::UdpFloor { gather_us } => udp::floor(gather_us),
    }?;
    Ok(false)
}

/// Exit codes like those of diff(1): 1 for a difference, 2 for an error.
const WORSE: u8 = 1;
const FAILED: u8 = 2;
