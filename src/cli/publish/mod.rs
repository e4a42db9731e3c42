//! `gripwire publish`: sends one message to a running server, with the `options` of Pushpin's `pushpin-publish`. `item`
//! makes the message, and `destination` names the server. `post` posts the message to a `control_port` with credentials,
//! `local` posts it to a Unix socket, `datagram` sends it by UDP or a Unix socket, and `push` sends it by ZeroMQ.
//! `outcome` is the result, and `receipt` the server's count of subscribers that it wrote to.

pub(super) mod control_port;
mod datagram;
pub(super) mod destination;
mod item;
pub(super) mod local;
mod options;
mod outcome;
pub(super) mod post;
#[cfg(feature = "zeromq")]
mod push;
mod receipt;

use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use control_port::{Credentials, SpecError};
use destination::{Destination, SendError};
use item::ItemError;
pub use options::Publish;
use outcome::Outcome;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The content cannot be read.
    #[error("cannot read the content from {from}")]
    Content {
        /// The file, or standard input.
        from: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The content cannot be sent with these options.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The destination cannot be published to.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The message was not sent or not accepted.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Publish {
    /// Publishes the message and prints the outcome.
    ///
    /// # Errors
    /// Why nothing was published.
    pub fn run(mut self) -> Result<ExitCode, PublishError> {
        let now_s = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let credentials = match (self.user.take(), self.bearer.take()) {
            (Some(pair), _) => Some(Credentials::Basic(pair)),
            (None, token) => token.map(Credentials::Bearer),
        };
        let destination = Destination::parse(&self.spec, credentials, now_s)?;
        if destination.shows_secrets() {
            eprintln!(
                "gripwire: warning: credentials are sent to {destination} unencrypted; use https to encrypt them"
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
