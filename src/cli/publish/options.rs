//! The options of `gripwire publish`.

use clap::Args;

/// The options of `publish`.
#[derive(Args)]
#[command(long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Publish {
    /// The channel to publish to
    pub channel: String,
    /// The text to send; `@FILE` sends a file, `@-` sends standard input
    pub content: Option<String>,
    /// Another channel to publish to; repeatable
    #[arg(long, value_name = "CHANNEL")]
    pub also: Vec<String>,
    /// Id of this message, which lets subscribers detect missed messages
    #[arg(long)]
    pub id: Option<String>,
    /// Id of the message before this one in the channel
    #[arg(long, value_name = "ID")]
    pub prev_id: Option<String>,
    /// Sender of the message: sets the meta variable `sender`
    #[arg(long, value_name = "NAME")]
    pub sender: Option<String>,
    /// Status of the answer that long polls get
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(0..=999))]
    pub code: u16,
    /// Header of the answer that long polls get; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub headers: Vec<(String, String)>,
    /// Meta variable, which filters of subscriptions see; repeatable
    #[arg(short = 'M', long = "meta", value_name = "NAME=VALUE", value_parser = parse_meta)]
    pub meta: Vec<(String, String)>,
    /// Send no content: tell subscribers to fetch it from the application
    #[arg(long, conflicts_with_all = ["close", "patch"])]
    pub hint: bool,
    /// Send no content: close the streams and WebSockets of the channel
    #[arg(long, conflicts_with = "patch")]
    pub close: bool,
    /// The content is a JSON patch to the answer that long polls would get at their timeout
    #[arg(long)]
    pub patch: bool,
    /// Deliver at once, even if an earlier message is missing
    #[arg(long)]
    pub no_seq: bool,
    /// Add no newline to the content for HTTP
    #[arg(long)]
    pub no_eol: bool,
    /// Wait until every subscriber was written to, and print the number of subscribers
    #[arg(long)]
    pub receipt: bool,
    /// Time to wait for the receipt, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000, requires = "receipt")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub wait_ms: u64,
    /// Server to publish to: the URL of the control port, whose query may have `iss` and `key` for signing, or
    /// udp://HOST:PORT, unix:///PATH, unixgram:///PATH, or a ZeroMQ PULL socket: tcp://HOST:PORT, ipc:///PATH
    #[arg(long, value_name = "URL", env = "GRIP_URL", hide_env_values = true)]
    #[arg(default_value = "http://localhost:5561")]
    pub spec: String,
    /// Authenticate with a name and a password
    #[arg(short, long, value_name = "USER:PASSWORD", conflicts_with = "bearer")]
    pub user: Option<String>,
    /// Authenticate with a token
    #[arg(short = 'B', long, value_name = "TOKEN")]
    pub bearer: Option<String>,
}

/// Reads the option value `NAME: VALUE`.
fn parse_header(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    pair.filter(|(name, _)| !name.is_empty()).ok_or_else(|| "write 'NAME: VALUE'".to_owned())
}

/// Reads the option value `NAME=VALUE`.
fn parse_meta(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.filter(|(name, _)| !name.is_empty()).ok_or_else(|| "write NAME=VALUE".to_owned())
}

const ABOUT: &str = "\
Publish one message to a running server.

The message goes to every subscriber of the channel on every transport: long polls are answered with the message, \
streams and WebSockets receive it. `Published` means that the server has accepted the message; the channel may have no \
subscriber. `Sent`, after a datagram or by ZeroMQ, means only that the message was sent.";

const EXAMPLES: &str = "\
Examples:
  gripwire publish news 'hello there'
  gripwire publish news @story.txt --id 7 --prev-id 6
  gripwire publish poll '{\"done\":true}' -H 'Content-Type: application/json'
  gripwire publish news --hint
  gripwire publish news hello --receipt
  gripwire publish news hi --spec udp://localhost:5565
  GRIP_URL='https://edge.example/?iss=me&key=base64:c2VjcmV0' gripwire publish news hi";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_pairs_are_refused() {
        for text in ["", "x", ": y"] {
            assert!(parse_header(text).is_err(), "{text}");
        }
        assert!(parse_meta("=v").is_err() && parse_meta("x").is_err());
    }
}
