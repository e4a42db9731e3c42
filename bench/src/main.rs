//! Measures Gripwire: `bench/compare` runs it beside the kernel floor, nchan and Pushpin under the same load and prints
//! one table; `udp` is about publishing by datagrams alone, `tls` about clients that speak TLS, `silent` about clients
//! that time out together, `channels-memory` about memory that is given back. The parts that have no server around them
//! are measured by `cargo bench -p gripwire-bench`.
//!
//! `servers` starts what is measured, `compare` puts load on it and reckons. Servers run on one CPU, clients on
//! another. What a server costs is read from the scheduler's own account of its threads, so that a busy machine makes a
//! run slower but hardly changes its ratios.

mod channels_memory;
mod compare;
mod innocent;
mod process;
mod servers;
mod silent;
mod tls;
mod udp;

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
    /// Memory and CPU of streams by TLS, beside those of streams without
    Tls(tls::Settings),
    /// CPU for a publish by UDP: one sender at full speed, against recvmmsg(2) loops
    Udp(udp::Settings),
    /// What is left of the memory of a million channels that nobody uses any more
    ChannelsMemory(channels_memory::Settings),
    /// How long a client waits for an answer while thousands of silent ones time out together
    Silent(silent::Settings),
    /// Clients that connect and say nothing (started by the others)
    #[command(hide = true)]
    SilentClients {
        /// Where they connect
        #[arg(long)]
        address: std::net::SocketAddrV4,
        /// How many they are
        #[arg(long)]
        count: u32,
        /// They send half of a head
        #[arg(long, action = clap::ArgAction::Set)]
        begun: bool,
    },
    /// The kernel floor: accepts connections and sends to all of them in a loop (started by the others)
    #[command(hide = true)]
    Floor,
    /// The same for datagrams: receives them in a loop (started by the others)
    #[command(hide = true)]
    UdpFloor {
        /// How long it sleeps between reads, us
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

/// Whether one build was found worse than another.
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Compare(settings) => return compare::run(&settings),
        Command::Tls(settings) => tls::run(&settings),
        Command::Udp(settings) => udp::run(&settings),
        Command::ChannelsMemory(settings) => channels_memory::run(&settings),
        Command::Silent(settings) => silent::run(&settings),
        Command::SilentClients { address, count, begun } => silent::clients(address, count, begun),
        Command::Floor => servers::run_floor(),
        Command::UdpFloor { gather_us } => udp::floor(gather_us),
    }?;
    Ok(false)
}

/// Exit codes as those of diff(1): what is asked for was found, or there was trouble.
const WORSE: u8 = 1;
const FAILED: u8 = 2;
