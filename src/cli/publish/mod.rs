//! `gripwire publish`: sends one message to a running server, with the `options` of Pushpin's `pushpin-publish`. `item`
//! makes the message, `destination` says where it goes; `post` takes it to a `control_port` with which proof there is,
//! `local` to such a socket of this machine, `datagram` and `push` send it. `outcome` is what became of it, and `receipt`
//! what a server says of whom it reached.

mod control_port;
mod datagram;
mod destination;
mod item;
mod local;
mod options;
mod outcome;
mod post;
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
