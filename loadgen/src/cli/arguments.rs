//! The arguments of the command line, and their defaults.

use super::addresses::Addresses;
use clap::{Parser, Subcommand, ValueEnum};
use gripwire_loadgen::{Layout, Mix, amount};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Holds many subscribers of a realtime server, publishes to them, and reports deliveries, latencies and the server's cost
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The kind of server
    #[arg(long, value_enum, default_value = "gripwire", help_heading = "Server")]
    pub target: TargetName,
    /// Address for subscribers: ADDR:PORT or FIRST-LAST:PORT; repeatable, used in turn
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7999", help_heading = "Server")]
    pub connect: Vec<Addresses>,
    /// Address for publishing [default: for GRIP 127.0.0.1:5561, with --udp 127.0.0.1:5565; else the subscribers' address]
    #[arg(long, value_name = "ADDR", help_heading = "Server")]
    pub publish_to: Option<SocketAddr>,
    /// Publish by UDP datagrams
    #[arg(long, help_heading = "Server")]
    pub udp: bool,
    /// Path for subscribers of a plain target; {channel} is replaced by the channel
    #[arg(long, value_name = "PATH", required_if_eq("target", "plain"), help_heading = "Server")]
    pub path: Option<String>,
    /// Path for publishing to a plain target
    #[arg(long, value_name = "PATH", required_if_eq("target", "plain"), help_heading = "Server")]
    pub publish: Option<String>,
    /// Serve a GRIP application at this address, for the server under load
    #[arg(long, value_name = "ADDR", help_heading = "Server")]
    pub origin: Option<SocketAddr>,
    /// Threads of the --origin application
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Server")]
    pub origin_threads: usize,
    /// Process of the server, to sample its CPU time and memory; repeatable
    #[arg(long = "pid", value_name = "PID", help_heading = "Server")]
    pub processes: Vec<u32>,
    /// Allow load on servers on other machines
    #[arg(long, help_heading = "Server")]
    pub allow_remote: bool,

    /// Number of subscribers
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, help_heading = "Subscribers")]
    pub subscribers: u32,
    /// Transport: poll, stream, sse or websocket, or shares of several: stream:3,websocket:1
    #[arg(long, value_name = "MIX", default_value = "stream", help_heading = "Subscribers")]
    pub transport: Mix,
    /// Channels: `one` for all, one for `each` subscriber, or zipf[:EXPONENT[:CHANNELS]]
    #[arg(long, value_name = "LAYOUT", default_value = "one", value_parser = layout, help_heading = "Subscribers")]
    pub layout: Layout,
    /// Prefix of the channels' names
    #[arg(long, value_name = "TEXT", default_value = "load-", help_heading = "Subscribers")]
    pub prefix: String,
    /// Most connections that are being opened at the same time
    #[arg(long, value_name = "N", default_value_t = 256, help_heading = "Subscribers")]
    pub window: u32,
    /// Connections opened per second; 0 means no limit
    #[arg(long, value_name = "N", default_value_t = 0.0, help_heading = "Subscribers")]
    pub open_rate: f64,
    /// Most seconds for the opening
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0, help_heading = "Subscribers")]
    pub open_timeout: f64,
    /// Percentage of subscribers that never read after they are open
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100),
          help_heading = "Subscribers")]
    pub stall: u32,
    /// Discard input and only count its bytes: measures the server rather than the client
    #[arg(long, help_heading = "Subscribers")]
    pub drain: bool,
    /// Least number of worker processes; each holds at most 18,000 subscribers
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Subscribers")]
    pub workers: u32,
    /// CPU for workers; repeatable, used in turn
    #[arg(long, value_name = "CPU", help_heading = "Subscribers")]
    pub cpu: Vec<usize>,

    /// Messages per second, over all channels; 0 means as fast as the server takes them [default: 10]
    #[arg(long, value_name = "N", help_heading = "Messages")]
    pub rate: Option<f64>,
    /// Number of messages
    #[arg(long, value_name = "N", help_heading = "Messages")]
    pub messages: Option<u64>,
    /// Seconds of publishing [default: 10, unless --messages is given]
    #[arg(long, value_name = "SECONDS", help_heading = "Messages")]
    pub duration: Option<f64>,
    /// Bytes of a message; about 40 is the minimum
    #[arg(long, value_name = "BYTES", default_value_t = 100, help_heading = "Messages")]
    pub size: usize,
    /// Messages in a publish call
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Messages")]
    pub batch: u32,
    /// Number of publishing connections; channels are divided among them
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Messages")]
    pub publishers: u32,
    /// Most publish calls in flight on a connection [default: 64 for gripwire, else 1]
    #[arg(long, value_name = "N", help_heading = "Messages")]
    pub pipeline: Option<usize>,
    /// Seconds to hold subscribers before publishing; without other options for messages, nothing is published
    #[arg(long, value_name = "SECONDS", help_heading = "Messages")]
    pub hold: Option<f64>,
    /// Seconds to wait for late messages
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, help_heading = "Messages")]
    pub late: f64,

    /// Write the results as JSON; - means standard output, instead of the table
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub json: Option<PathBuf>,
    /// Write the results as a self-contained HTML page with diagrams
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub report: Option<PathBuf>,
    /// Exit with 1 if a message was lost, repeated or out of order, or a subscriber was refused or ended
    #[arg(long, help_heading = "Reports")]
    pub strict: bool,
    /// Show no progress
    #[arg(short, long, help_heading = "Reports")]
    pub quiet: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// A worker, started by the run itself
    #[command(hide = true)]
    Worker,
}

/// The presets.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetName {
    /// Gripwire, with `serve --demo` or with --origin
    Gripwire,
    /// Pushpin, with --origin
    Pushpin,
    /// nginx with nchan at /sub/CHANNEL and /pub/CHANNEL
    Nchan,
    /// Any other server, with --path and --publish
    Plain,
}

impl Arguments {
    /// Whether messages are published.
    pub fn publishes(&self) -> bool {
        self.hold.is_none() || self.rate.is_some() || self.messages.is_some() || self.duration.is_some()
    }

    /// A title for the run.
    pub fn title(&self) -> String {
        let server =
            self.target.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
        format!("{} subscribers of {server}", amount::count(self.subscribers.into()))
    }

    /// The parameters of the run, for the reports.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let layout = match self.layout {
            Layout::One => "one channel".into(),
            Layout::Each => "one for each subscriber".into(),
            Layout::Zipf { channels, exponent } => format!("Zipf, {channels} channels, exponent {exponent}"),
        };
        let mut list = vec![
            ("subscribers", self.subscribers.to_string()),
            ("transport", self.transport.to_string()),
            ("channels", layout),
        ];
        if self.publishes() {
            let rate = self.rate.unwrap_or(DEFAULT_RATE_HZ);
            let rate = if rate > 0.0 {
                format!("{rate} messages/s")
            } else {
                "as fast as the server takes them".into()
            };
            list.push(("rate", rate));
            list.push(("message size", format!("{} B", self.size)));
            list.push(("batch", self.batch.to_string()));
            list.push(("published over", if self.udp { "UDP" } else { "HTTP" }.into()));
        }
        if self.stall > 0 {
            list.push(("never read", format!("{} %", self.stall)));
        }
        if self.drain {
            list.push(("client", "discards input".into()));
        }
        list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn layout(text: &str) -> Result<Layout, String> {
    let problem = || {
        format!("`{text}` is not a layout: use one, each, or zipf:EXPONENT:CHANNELS such as zipf:1.1:1000")
    };
    let mut parts = text.split(':');
    let layout = match parts.next() {
        Some("one") => Layout::One,
        Some("each") => Layout::Each,
        Some("zipf") => {
            let exponent: f64 = parts.next().unwrap_or("1").parse().map_err(|_| problem())?;
            let channels: u32 = parts.next().unwrap_or("1000").parse().map_err(|_| problem())?;
            if !(0.0..=10.0).contains(&exponent) || channels == 0 {
                return Err(problem());
            }
            Layout::Zipf { channels, exponent }
        }
        _ => return Err(problem()),
    };
    if parts.next().is_some() { Err(problem()) } else { Ok(layout) }
}

/// Messages per second by default.
pub const DEFAULT_RATE_HZ: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_read_and_others_explained() {
        assert_eq!(layout("one"), Ok(Layout::One));
        assert_eq!(layout("zipf:1.5:20"), Ok(Layout::Zipf { channels: 20, exponent: 1.5 }));
        assert_eq!(layout("zipf"), Ok(Layout::Zipf { channels: 1000, exponent: 1.0 }));
        for text in ["", "two", "zipf:x", "zipf:-1", "zipf:1:0", "one:2", "zipf:1:2:3"] {
            assert!(layout(text).unwrap_err().contains("zipf:1.1:1000"), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        assert!(Arguments::try_parse_from(["x", "--target", "plain"]).is_err());
    }
}
