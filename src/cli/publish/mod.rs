//! `gripwire publish`: sends one message to a running server, with the options of Pushpin's `pushpin-publish`. `item` makes
//! the message, `destination` says where it goes; `post` takes it to a `control_port` with which proof there is, `local` to
//! such a socket of this machine, `datagram` and `push` send it. `receipt` is what a server says of whom it reached.

mod control_port;
mod datagram;
mod destination;
mod item;
mod local;
mod post;
#[cfg(feature = "zeromq")]
mod push;
mod receipt;

use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;

use control_port::{Credentials, SpecError};
use destination::{Destination, Outcome, SendError};
use item::ItemError;

/// The options of `publish`.
#[derive(Args)]
#[command(long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Publish {
    /// The channel to publish to
    channel: String,
    /// The text to send; `@FILE` sends a file, `@-` what is on standard input
    content: Option<String>,
    /// Another channel to publish to; repeatable
    #[arg(long, value_name = "CHANNEL")]
    also: Vec<String>,
    /// Id of this message, by which subscribers notice that they missed one
    #[arg(long)]
    id: Option<String>,
    /// Id of the message before this one in the channel
    #[arg(long, value_name = "ID")]
    prev_id: Option<String>,
    /// Who sends it: sets the meta variable `sender`
    #[arg(long, value_name = "NAME")]
    sender: Option<String>,
    /// Status of the answer that long polls get
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(0..=999))]
    code: u16,
    /// Header of the answer that long polls get; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = item::parse_header)]
    headers: Vec<(String, String)>,
    /// Meta variable, which filters of subscriptions see; repeatable
    #[arg(short = 'M', long = "meta", value_name = "NAME=VALUE", value_parser = item::parse_meta)]
    meta: Vec<(String, String)>,
    /// Send no content: tell subscribers to fetch it from the application
    #[arg(long, conflicts_with_all = ["close", "patch"])]
    hint: bool,
    /// Send no content: close the streams and WebSockets of the channel
    #[arg(long, conflicts_with = "patch")]
    close: bool,
    /// The content is a JSON patch to the answer that long polls would get at their timeout
    #[arg(long)]
    patch: bool,
    /// Deliver at once, even if an earlier message is missing
    #[arg(long)]
    no_seq: bool,
    /// Add no newline to the content for HTTP
    #[arg(long)]
    no_eol: bool,
    /// Wait until every subscriber was written to, and say how many they were
    #[arg(long)]
    receipt: bool,
    /// How long to wait for that, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000, requires = "receipt")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=60_000))]
    wait_ms: u64,
    /// Where to publish: the URL of the control port, whose query may hold `iss` and `key` to sign with, or
    /// udp://HOST:PORT, unix:///PATH, unixgram:///PATH, or a PULL socket of ZeroMQ: tcp://HOST:PORT, ipc:///PATH
    #[arg(long, value_name = "URL", env = "GRIP_URL", hide_env_values = true)]
    #[arg(default_value = "http://localhost:5561")]
    spec: String,
    /// Authenticate by a name and a password
    #[arg(short, long, value_name = "USER:PASSWORD", conflicts_with = "bearer")]
    user: Option<String>,
    /// Authenticate by a token
    #[arg(short = 'B', long, value_name = "TOKEN")]
    bearer: Option<String>,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The content cannot be read.
    #[error("cannot read the content from {from}")]
    Content {
        /// The file, or standard input.
        from: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content cannot be sent this way.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The destination makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It was not sent, or not taken.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Publish {
    /// Publishes, and says so.
    pub fn run(mut self) -> Result<ExitCode, PublishError> {
        let now_s = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let credentials = match (self.user.take(), self.bearer.take()) {
            (Some(pair), _) => Some(Credentials::Basic(pair)),
            (None, token) => token.map(Credentials::Bearer),
        };
        let destination = Destination::parse(&self.spec, credentials, now_s)?;
        if destination.shows_secrets() {
            eprintln!(
                "gripwire: warning: credentials go to {destination} unencrypted; https would hide them"
            );
        }
        let content = read_content(self.content.as_deref().unwrap_or_default())?;
        let items = item::publish_call(&self, &content)?;
        let wait = self.receipt.then_some(Duration::from_millis(self.wait_ms));
        match destination.send(items.to_string().as_bytes(), wait)? {
            Outcome::Published => println!("Published"),
            Outcome::Reached(receipt) => println!("{receipt}"),
            Outcome::Sent => println!("Sent"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read_content(argument: &str) -> Result<Vec<u8>, PublishError> {
    let (from, read) = match argument.strip_prefix('@') {
        None => return Ok(argument.as_bytes().to_vec()),
        Some("-") => {
            let mut content = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut content).map(|_| content);
            ("standard input", read)
        }
        Some(path) => (path, std::fs::read(path)),
    };
    read.map_err(|source| PublishError::Content { from: from.to_owned(), source })
}

const ABOUT: &str = "\
Publish one message to a running server.

The message goes to every subscriber of the channel, whatever transport each came by: long polls are answered with \
it, streams and WebSockets get it. `Published` means that the server has taken it, not that anyone was subscribed; \
`Sent`, after a datagram or by ZeroMQ, only that it was sent.";

const EXAMPLES: &str = "\
Examples:
  gripwire publish news 'hello there'
  gripwire publish news @story.txt --id 7 --prev-id 6
  gripwire publish poll '{\"done\":true}' -H 'Content-Type: application/json'
  gripwire publish news --hint
  gripwire publish news hello --receipt
  gripwire publish news hi --spec udp://localhost:5565
  GRIP_URL='https://edge.example/?iss=me&key=base64:c2VjcmV0' gripwire publish news hi";
